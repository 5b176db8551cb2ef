//! `brokerx demo` as a newcomer runs it.

use anyhow::ensure;
use brokerx_e2e::fixture::Fixture;

pub async fn the_demo_goes_well_twice(fixture: &Fixture) -> anyhow::Result<()> {
    for _ in 0..2 {
        let mut command = fixture.system().command("brokerx-demo", &[]);
        command.env("BROKERX_OPERATOR_KEY", &fixture.operator_key);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "{text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        ensure!(text.contains(" ms  "), "a transcript without latencies: {text}");
    }
    Ok(())
}
