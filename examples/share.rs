//! Two kernels: share while the other is away, request, follow, exchange.
//!
//! `cargo run --example share`

use once::{InitOptions, Kernel, model::ids::Uuid, model::scenario::Scenario};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let alice = kernel(folder.path(), "alice").await?;
    let bob = kernel(folder.path(), "bob").await?;
    bob.join(&alice.invite().await?).await?;
    // Joining lets each store scenarios at the other, nothing more. Reading is granted.
    alice.grant(bob.id(), once::Right::Read).await?;

    // Share while bob is away: it is durable here, and arrives when he is back.
    let (bob_id, bob_data) = (bob.id(), folder.path().join("bob"));
    bob.stop().await?;
    let first = Scenario::compose(Uuid::from_u128(1), "Note", "1.0", "alice", r#"{"text": "see you"}"#)?;
    let (note, _) = alice.create(first).await?;
    alice.share(note.key()).to(bob_id).await?;
    let bob = Kernel::builder(bob_data).start().await?;
    alice.share(note.key()).to(bob_id).delivered().await?;
    println!("bob has revision {}", bob.get(note.key())?.ok_or("not there")?.revision());

    // Follow: each new revision comes by itself.
    let mut news = bob.follow(note.key(), alice.id()).await?;
    let second =
        Scenario::compose(Uuid::from_u128(1), "Note", "1.0", "alice", r#"{"text": "welcome back"}"#)?;
    alice.put(note.key(), second.bytes().clone()).await?;
    while let Some(object) = news.next().await {
        println!("bob hears of revision {}", object.revision());
        if object.revision() == 2 {
            break;
        }
    }

    // Only its home may change an object.
    let refused = bob.put(note.key(), second.bytes().clone()).await.err().ok_or("a replica was changed")?;
    println!("bob may not change it: {refused}");

    // Exchange: compare, then only what is missing travels.
    for n in 2..102 {
        let scenario =
            Scenario::compose(Uuid::from_u128(n), "Note", "1.0", "alice", r#"{"text": "one of many"}"#)?;
        alice.import(scenario.bytes().clone()).await?;
    }
    let report = bob.exchange(alice.id()).await?;
    println!(
        "exchanged: {} came, {} rounds, {} bytes",
        report.received, report.rounds, report.bytes_received
    );

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
