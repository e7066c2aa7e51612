//! Money moves between accounts on two kernels: all of it, or none.
//!
//! `cargo run -p once --example transfer`

use once::component::{Account, Counter};
use once::{Coordination, InitOptions, Ior, Kernel, Plan, RunState};
use serde_json::json;

/// Runs it.
#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let (alice, bob) = (kernel(folder.path(), "alice").await?, kernel(folder.path(), "bob").await?);
    bob.join(&alice.invite().await?).await?;
    let mine = alice.create_object(Account::with(100)).await?;
    let theirs = bob.create_object(Account::with(20)).await?;
    // Bob lets alice's kernel act on this one object.
    bob.grant(alice.id(), once::Right::Act).on(theirs.key()).await?;

    // A saga: if the second step is known to have failed, the first is undone.
    let done = alice.coordinate(transfer(mine.ior(), theirs.ior(), 30)?).await?;
    show(&done);
    assert!(done.is_done());
    println!("alice has {}, bob has {}", mine.state()?.balance, theirs.state()?.balance);

    // A counter understands no such thing, so alice gets back what was taken.
    let other = bob.create_object(Counter::default()).await?;
    bob.grant(alice.id(), once::Right::Act).on(other.key()).await?;
    let undone = alice.coordinate(transfer(mine.ior(), other.ior(), 30)?).await?;
    show(&undone);
    assert_eq!(undone.standing.state, RunState::Compensated);
    println!("alice has {}, bob has {}", mine.state()?.balance, theirs.state()?.balance);

    // In a saga others see what is done so far. Here nothing is taken before all else is done: it is set aside first.
    let (from, to) = (mine.ior(), theirs.ior());
    let reserved = Plan::parse(
        json!({ "mode": "sequence", "steps": [
            { "name": "reserve", "ior": from, "action": "reserve", "arguments": { "id": "rent", "amount": 50 },
              "compensation": { "action": "cancel", "arguments": { "id": "rent" } } },
            { "name": "give", "ior": to, "action": "deposit", "arguments": { "amount": 50 },
              "compensation": { "action": "withdraw", "arguments": { "amount": 50 } } },
            { "name": "confirm", "ior": from, "action": "confirm", "arguments": { "id": "rent" } },
        ] })
        .to_string(),
    )?;
    let done = alice.coordinate(reserved).await?;
    show(&done);
    let (alices, bobs) = (mine.state()?.balance, theirs.state()?.balance);
    println!("alice has {alices}, bob has {bobs}");
    assert_eq!((alices, bobs), (20, 100));

    alice.stop().await?;
    bob.stop().await?;
    Ok(())
}

fn transfer(from: &Ior, to: &Ior, amount: u64) -> Result<Plan, once::PlanError> {
    let money = json!({ "amount": amount });
    let plan = json!({ "mode": "sequence", "steps": [
        { "name": "take", "ior": from, "action": "withdraw", "arguments": money,
          "compensation": { "action": "deposit", "arguments": money } },
        { "name": "give", "ior": to, "action": "deposit", "arguments": money },
    ] });
    Plan::parse(plan.to_string())
}

fn show(ended: &Coordination) {
    let steps: Vec<_> =
        ended.standing.steps.iter().map(|step| format!("{} {}", step.name, step.state.word())).collect();
    println!("{}: {}", ended.standing.state.word(), steps.join(", "));
}

async fn kernel(folder: &std::path::Path, name: &str) -> Result<Kernel, once::Error> {
    let data = folder.join(name);
    let listen = Some("127.0.0.1:0".into());
    once::init(&data, InitOptions { name: Some(name.into()), listen, relay: None })?;
    Kernel::builder(&data).start().await
}
