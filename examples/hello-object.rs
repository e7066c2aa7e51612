//! A counter lives on one kernel; another one acts on it, exactly once each time.
//!
//! `cargo run -p once --example hello-object`

use once::component::{Add, Counter, counter};
use once::{InitOptions, Kernel};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let (alice, bob) = (kernel(folder.path(), "alice").await?, kernel(folder.path(), "bob").await?);
    bob.join(&alice.invite().await?).await?;
    alice.grant(bob.id(), once::Right::Act).await?;

    let here = alice.create_object(Counter::default()).await?;
    let there = bob.object::<Counter>(here.ior())?;
    assert_eq!(there.act(Add { by: 2 }).await?, 2);
    println!("{} counts {}", here.ior(), here.state()?.count);
    Ok(())
}

async fn kernel(folder: &std::path::Path, name: &str) -> Result<Kernel, once::Error> {
    let listen = Some("127.0.0.1:0".into());
    once::init(&folder.join(name), InitOptions { name: Some(name.into()), listen, relay: None })?;
    Kernel::builder(folder.join(name)).component(counter()).start().await
}
