//! End to end, on a real Kafka, a real registry and a real PostgreSQL.
//!
//! One system is started for all trials; they run one after the other, those that break things
//! last. A failed trial says which, and the logs of the processes stay where the launcher puts them.

#![allow(clippy::unwrap_used)]

mod chaos;
mod dead_letters;
mod demo;
mod errors;
mod feed;
mod orders;
mod other_team;
mod outages;
mod projection;
mod registry;
mod topics_tool;

use std::sync::Arc;

use brokerx_e2e::fixture::Fixture;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::{Builder, Runtime};

macro_rules! trials {
    ($fixture:expr, $runtime:expr; $( $module:ident :: $name:ident ),+ $(,)?) => {
        vec![ $({
            let (fixture, runtime) = (Arc::clone($fixture), Arc::clone($runtime));
            Trial::test(concat!(stringify!($module), "::", stringify!($name)), move || {
                let outcome = runtime.block_on($module::$name(&fixture));
                outcome.map_err(|error| Failed::from(format!("{error:#}")))
            })
        }),+ ]
    };
}

fn main() -> anyhow::Result<()> {
    let mut arguments = Arguments::from_args();
    // Trials share a system: one at a time, in the order below.
    arguments.test_threads = Some(1);
    let runtime = Arc::new(Builder::new_multi_thread().enable_all().build()?);
    if arguments.list {
        // Nothing is started to list names; the fixture is not touched.
        println!("end-to-end trials are listed in compose/e2e/tests/e2e/main.rs");
        return Ok(());
    }
    let fixture = Arc::new(runtime.block_on(Fixture::start())?);
    let conclusion = run(&arguments, &fixture, &runtime);
    runtime.block_on(fixture.database.close());
    fixture.system().stop();
    drop(fixture);
    conclusion.exit()
}

fn run(arguments: &Arguments, fixture: &Arc<Fixture>, runtime: &Arc<Runtime>) -> libtest_mimic::Conclusion {
    let trials = trials![fixture, runtime;
        topics_tool::applying_twice_changes_nothing,
        topics_tool::the_cluster_does_not_drift_from_the_catalogue,
        topics_tool::tail_decodes_to_json,
        registry::a_new_kind_is_accepted,
        registry::an_incompatible_change_is_refused,
        demo::the_demo_goes_well_twice,
        orders::an_order_rests_crosses_and_is_cancelled,
        orders::the_same_id_gives_the_same_outcome,
        orders::orders_are_refused_for_their_reasons,
        orders::reads_are_not_older_than_the_token,
        orders::operators_commands_are_idempotent,
        errors::errors_are_problems_with_codes,
        errors::nobody_acts_for_someone_else,
        feed::the_private_stream_resumes_without_a_gap,
        feed::private_channels_need_a_token,
        feed::the_book_can_be_built_from_the_feed,
        dead_letters::garbage_goes_to_the_dead_letters_and_the_rest_goes_on,
        other_team::a_python_consumer_agrees_with_the_database,
        outages::trading_goes_on_while_the_database_is_down,
        outages::everything_remembers_after_a_restart_of_everything,
        chaos::nothing_is_lost_or_doubled_while_processes_die,
        projection::the_refolded_projection_has_the_same_rows,
    ];
    libtest_mimic::run(arguments, trials)
}
