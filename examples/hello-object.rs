//! An object hibernates on one kernel and wakes up on another, byte for byte.
//!
//! `cargo run --example hello-object`

use once::{InitOptions, Kernel};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let (alice, bob) = (kernel(folder.path(), "alice").await?, kernel(folder.path(), "bob").await?);
    bob.join(&alice.invite().await?).await?;

    let scenario =
        r#"{"ior": {"component": "Greeting", "version": "1.0"}, "model": {"text": "hello", "n": 1.50}}"#;
    let (object, _) = alice.import(scenario, None).await?;
    println!("alice keeps {}", object.ior(&[]));

    alice.share(object.key()).to(bob.id()).delivered().await?;
    let there = bob.scenario(object.key())?.ok_or("bob has lost it")?;
    println!("bob has {}", std::str::from_utf8(&there)?);
    assert_eq!(there, scenario.as_bytes());

    alice.stop().await?;
    bob.stop().await?;
    Ok(())
}

async fn kernel(folder: &std::path::Path, name: &str) -> Result<Kernel, once::Error> {
    let data = folder.join(name);
    let listen = Some("127.0.0.1:0".into());
    once::init(&data, InitOptions { name: Some(name.into()), listen, relay: None })?;
    Kernel::builder(&data).start().await
}
