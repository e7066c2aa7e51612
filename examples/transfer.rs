//! Money moves between accounts on two kernels: all of it, or none.
//!
//! `cargo run -p once --example transfer`

use once::model::{ids::Uuid, scenario::Scenario};
use once::{Coordinated, InitOptions, Ior, Kernel, Object, Plan, RunState};
use serde_json::json;

/// Runs it.
#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let (alice, bob) = (kernel(folder.path(), "alice").await?, kernel(folder.path(), "bob").await?);
    bob.join(&alice.invite().await?).await?;
    let mine = account(&alice, 1, 100).await?;
    let theirs = account(&bob, 2, 20).await?;
    // Bob lets alice's kernel act on this one object.
    bob.grant_act(theirs.key(), alice.id()).await?;

    // A saga: if the second step is known to have failed, the first is undone.
    let done = alice.coordinate(transfer(&mine.ior(&[]), &theirs.ior(&[]), 30)?).await?;
    show(&done);
    assert!(done.is_done());
    println!("alice has {}, bob has {}", balance(&alice, &mine).await?, balance(&bob, &theirs).await?);

    // Bob's account understands no such thing, so alice gets back what was taken.
    let note = bob.create(Scenario::compose(Uuid::from_u128(3), "Counter", "1.0", "bob", "{}")?).await?.0;
    bob.grant_act(note.key(), alice.id()).await?;
    let undone = alice.coordinate(transfer(&mine.ior(&[]), &note.ior(&[]), 30)?).await?;
    show(&undone);
    assert_eq!(undone.standing.state, RunState::Compensated);
    println!("alice has {}, bob has {}", balance(&alice, &mine).await?, balance(&bob, &theirs).await?);

    // In a saga others see what is done so far. Here nothing is taken before all else is done: it is set aside first.
    let (from, to) = (mine.ior(&[]), theirs.ior(&[]));
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
    let (alices, bobs) = (balance(&alice, &mine).await?, balance(&bob, &theirs).await?);
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

fn show(ended: &Coordinated) {
    let steps: Vec<_> =
        ended.standing.steps.iter().map(|step| format!("{} {}", step.name, step.state.word())).collect();
    println!("{}: {}", ended.standing.state.word(), steps.join(", "));
}

async fn account(kernel: &Kernel, n: u128, balance: u64) -> Result<Object, Box<dyn std::error::Error>> {
    let model = json!({ "balance": balance }).to_string();
    let scenario = Scenario::compose(Uuid::from_u128(n), "Account", "1.0", kernel.name(), &model)?;
    Ok(kernel.create(scenario).await?.0)
}

async fn balance(kernel: &Kernel, account: &Object) -> Result<u64, Box<dyn std::error::Error>> {
    let funds = kernel.act(&account.ior(&[]), "get", "null")?.await?;
    let funds: once::component::Funds = serde_json::from_slice(&funds.result)?;
    Ok(funds.balance)
}

async fn kernel(folder: &std::path::Path, name: &str) -> Result<Kernel, once::Error> {
    let data = folder.join(name);
    let listen = Some("127.0.0.1:0".into());
    once::init(&data, InitOptions { name: Some(name.into()), listen, relay: None })?;
    Kernel::builder(&data).start().await
}
