//! Kills and freezes processes.

use std::time::Duration;

use brokerx_client::eventually;
use brokerx_e2e::fixture::Fixture;
use rand::{RngExt, rngs::Xoshiro256PlusPlus};

const VICTIMS: [&str; 6] = [
    "settlement",
    "settlement-1",
    "matcher",
    "matcher-1",
    "ingress",
    "notifier",
];

/// Longer than the workers' session of 2 s, so that their partitions go to another instance meanwhile.
const FREEZE: Duration = Duration::from_millis(3_500);

/// How long a process may take until it is ready.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// Hits one process: it is killed and started again, or frozen past its session and continued.
pub async fn hit(fixture: &Fixture, random: &mut Xoshiro256PlusPlus) -> anyhow::Result<()> {
    let victim = VICTIMS[random.random_range(0..VICTIMS.len())];
    // A pause with load, so that the next hit finds work in flight.
    tokio::time::sleep(Duration::from_millis(random.random_range(300..1_500))).await;
    if random.random_ratio(1, 3) {
        println!("chaos: {victim} is frozen");
        fixture.system().process(victim).pause();
        tokio::time::sleep(FREEZE).await;
        fixture.system().process(victim).resume();
    } else {
        println!("chaos: {victim} is killed");
        fixture.system().process(victim).kill();
        tokio::time::sleep(Duration::from_millis(random.random_range(0..2_500))).await;
        fixture.system().respawn(victim)?;
    }
    // A frozen process that lost its place in the group ends by itself; the supervisor starts it again.
    for name in VICTIMS {
        let mut system = fixture.system();
        if system.process(name).ended().is_some() {
            println!("chaos: {name} had ended, starts again");
            system.respawn(name)?;
        }
    }
    Ok(())
}

/// Brings everything back and waits until it is ready.
pub async fn heal(fixture: &Fixture) -> anyhow::Result<()> {
    for name in VICTIMS {
        let mut system = fixture.system();
        // It may still be frozen, when somebody else's failure ended the trial.
        system.process(name).resume();
        if system.process(name).ended().is_some() {
            system.respawn(name)?;
        }
    }
    // Others may be asking meanwhile for what makes it ready.
    for name in VICTIMS {
        eventually(&format!("{name} is ready"), READY_LIMIT, async || {
            Ok(fixture.system().process(name).is_ready())
        })
        .await?;
    }
    Ok(())
}
