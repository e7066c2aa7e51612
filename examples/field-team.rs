//! An office, a depot, and a field team whose kernel is mostly offline.
//!
//! `cargo run -p once --example field-team`

use std::path::Path;
use std::time::Duration;

use once::component::{Account, Counter, Get, Withdraw};
use once::{InitOptions, Kernel, Plan};
use serde_json::json;

/// Runs it.
#[tokio::main(flavor = "current_thread")]
pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let office = kernel(&at("office"), "office").await?;
    let depot = kernel(&at("depot"), "depot").await?;
    let field = kernel(&at("field"), "field").await?;
    for other in [&depot, &field] {
        other.join(&office.invite().await?).await?;
    }
    field.join(&depot.invite().await?).await?;

    // The depot counts its pumps, the field team its jobs. The office acts on both, the team on the pumps.
    let pumps = depot.create_object(Account::with(5)).await?;
    depot.grant(office.id(), once::Right::Act).on(pumps.key()).await?;
    depot.grant(field.id(), once::Right::Act).on(pumps.key()).await?;
    let jobs = {
        // A handle holds on to its kernel's port, and this kernel is going to stop.
        let jobs = field.create_object(Counter::default()).await?;
        field.grant(office.id(), once::Right::Act).on(jobs.key()).await?;
        jobs.ior().clone()
    };

    // The team drives off: its kernel runs on, without a network.
    field.stop().await?;
    let field = Kernel::builder(at("field")).offline().start().await?;

    // What it takes from the depot is accepted here and now. It happens when the depot can be reached.
    let taken = field.object::<Account>(pumps.ior())?.act(Withdraw { amount: 2 }).send().await?.id();
    println!("field: two pumps are taken from the depot, as soon as it hears of that");

    // Meanwhile the office plans a job: a pump is set aside, then the team gets the job. Should the team not want it,
    // the pump is free again; as long as nobody knows, it stays set aside.
    let plan = json!({ "mode": "sequence", "steps": [
        { "name": "pump", "ior": pumps.ior(), "action": "reserve", "arguments": { "id": "job 7", "amount": 1 },
          "compensation": { "action": "cancel", "arguments": { "id": "job 7" } } },
        { "name": "job", "ior": jobs, "action": "add", "arguments": { "by": 1 } },
        { "name": "load", "ior": pumps.ior(), "action": "confirm", "arguments": { "id": "job 7" } },
    ] });
    let plan = Plan::parse(plan.to_string())?;
    let planned = office.coordinate(plan.clone()).start().await?;
    let waits = office.coordinate(plan.clone()).id(planned.id).timeout(Duration::from_millis(500)).await;
    println!("office: {}", waits.err().ok_or("the team cannot have answered")?);

    // Even the office may be switched off in between.
    office.stop().await?;
    let office = Kernel::builder(at("office")).start().await?;

    // Evening: the team is back, and everything comes to its end.
    field.stop().await?;
    let field = Kernel::builder(at("field")).start().await?;
    let ended = office.coordinate(plan).id(planned.id).await?;
    assert!(ended.is_done());
    println!("office: the job is {}", ended.standing.state.word());
    while field.outcome(taken)?.is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let left = pumps.act(Get).await?;
    println!("depot: {} pumps are left", left.available);
    assert_eq!((left.balance, left.available), (2, 2));

    tokio::try_join!(office.stop(), depot.stop(), field.stop())?;
    Ok(())
}

async fn kernel(data: &Path, name: &str) -> Result<Kernel, once::Error> {
    let listen = Some("127.0.0.1:0".into());
    once::init(data, InitOptions { name: Some(name.into()), listen, relay: None })?;
    Kernel::builder(data).start().await
}
