//! End to end, on a real Kafka, a real registry and a real PostgreSQL.
//!
//! One system is started for all trials; they run one after the other, those that break things
//! last. When one fails, the logs and mails of the system are kept, and the output says where.

#![allow(clippy::unwrap_used)]

mod accounts;
mod book;
mod chaos;
mod clocks;
mod crowds;
mod dead_letters;
mod demo;
mod errors;
mod feed;
mod idle;
mod logins;
mod mail;
mod migrations;
mod operators;
mod orders;
mod other_team;
mod outages;
mod producers;
mod projection;
mod registrations;
mod registry;
mod rights;
mod secured;
mod topics_tool;
mod transactions;
mod unreadable;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use brokerx_e2e::fixture::Fixture;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::{Builder, Runtime};

/// The system of all trials, once it is started.
type Shared = Arc<OnceLock<Fixture>>;

/// How long each trial took that has run.
type Times = Arc<Mutex<Vec<(Duration, &'static str)>>>;
/// So many of the longest are told.
const LONGEST: usize = 10;

macro_rules! trials {
    ($fixture:expr, $runtime:expr, $times:expr; $( $module:ident :: $name:ident ),+ $(,)?) => {
        vec![ $({
            let (fixture, runtime, times) = (Arc::clone($fixture), Arc::clone($runtime), Arc::clone($times));
            const NAME: &str = concat!(stringify!($module), "::", stringify!($name));
            Trial::test(NAME, move || {
                let fixture = fixture.get().ok_or("the system is not started")?;
                let started = Instant::now();
                let outcome = runtime.block_on($module::$name(fixture));
                times.lock().unwrap_or_else(PoisonError::into_inner).push((started.elapsed(), NAME));
                outcome.map_err(|error| Failed::from(format!("{error:#}")))
            })
        }),+ ]
    };
}

fn main() -> anyhow::Result<()> {
    let mut arguments = Arguments::from_args();
    // The trials share one system, so they run one at a time, in the order below.
    arguments.test_threads = Some(1);
    let runtime = Arc::new(Builder::new_multi_thread().enable_all().build()?);
    let fixture = Shared::default();
    let times = Times::default();
    let trials = trials(&fixture, &runtime, &times);
    let runs = |trial: &Trial| !arguments.is_filtered_out(trial);
    // No system is started when names are only listed, or when the filter leaves no trial.
    if !arguments.list && trials.iter().any(runs) {
        let started = runtime.block_on(Fixture::start())?;
        fixture.get_or_init(|| started);
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    tell_longest(&times);
    if let Some(fixture) = fixture.get() {
        runtime.block_on(fixture.database.close());
        let mut system = fixture.system();
        if !conclusion.has_failed() {
            system.test_passed();
        }
        system.stop();
    }
    drop(fixture);
    conclusion.exit()
}

/// Where the time of the trials went, for whoever wants to make them shorter.
fn tell_longest(times: &Times) {
    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner).clone();
    times.sort_unstable_by(|one, other| other.cmp(one));
    if !times.is_empty() {
        println!("the trials that took longest:");
    }
    for (took, name) in times.iter().take(LONGEST) {
        println!("{:>8.1} s  {name}", took.as_secs_f64());
    }
}

fn trials(fixture: &Shared, runtime: &Arc<Runtime>, times: &Times) -> Vec<Trial> {
    trials![fixture, runtime, times;
        idle::nobody_wakes_up_often_without_a_client,
        transactions::a_log_of_nothing_but_markers_is_read_to_its_end,
        topics_tool::applying_twice_changes_nothing,
        topics_tool::the_cluster_does_not_drift_from_the_catalogue,
        topics_tool::tail_decodes_to_json,
        topics_tool::the_configuration_of_a_new_log_is_known_without_reading_it,
        registry::a_new_kind_is_accepted,
        registry::an_incompatible_change_is_refused,
        demo::the_demo_goes_well_twice,
        orders::an_order_rests_crosses_and_is_cancelled,
        orders::the_same_id_gives_the_same_outcome,
        orders::orders_are_refused_for_their_reasons,
        orders::reads_are_not_older_than_the_token,
        orders::operators_commands_are_idempotent,
        accounts::a_client_reads_its_own_writes_without_a_token,
        accounts::an_order_without_an_outcome_is_not_decided_yet,
        accounts::a_suspended_clients_orders_leave_the_book,
        accounts::an_operator_corrects_and_thaws,
        book::stops_wait_for_their_price,
        book::an_iceberg_shows_a_part,
        book::orders_trade_by_their_post_only_fok_and_self_trade_terms,
        book::a_replace_keeps_its_place_only_with_a_smaller_quantity,
        book::halts_and_sessions_stop_trading,
        book::a_halt_ends_with_an_auction_when_orders_are_collected,
        book::the_calendar_closes_and_opens,
        book::everything_is_cancelled_at_once,
        book::a_repeat_is_answered_when_the_instrument_is_gone,
        rights::a_process_knows_no_secret_of_another,
        rights::a_role_can_do_its_work_and_no_more,
        secured::everything_works_encrypted_and_nobody_may_more_than_is_granted,
        operators::all_sessions_close_with_one_key,
        operators::an_action_ends_by_itself_when_its_request_does_not_wait,
        operators::keys_end_and_are_taken_back,
        registrations::a_link_that_is_opened_changes_nothing,
        registrations::a_newer_registration_takes_the_place_of_an_older_one,
        registrations::nobody_learns_who_is_a_client,
        registrations::a_flood_of_registrations_stops_nobody,
        mail::letters_reach_a_server_past_refusals_and_outages,
        mail::a_server_that_is_not_who_it_should_be_gets_nothing,
        mail::a_wrong_password_throws_no_letter_away,
        mail::a_letter_that_waits_brings_no_other_back,
        migrations::an_older_database_keeps_its_people,
        logins::sixty_at_once_are_five_tries,
        logins::right_passwords_are_limited_too,
        logins::nobody_is_locked_out_by_a_stranger,
        logins::old_tries_are_forgotten,
        errors::errors_are_problems_with_codes,
        errors::nobody_acts_for_someone_else,
        feed::the_private_stream_resumes_without_a_gap,
        feed::a_clients_close_is_answered,
        feed::private_channels_need_a_token,
        feed::the_book_can_be_built_from_the_feed,
        feed::candles_and_status_are_pushed,
        feed::a_log_out_ends_the_stream_within_two_seconds,
        crowds::half_open_connections_keep_nobody_out,
        crowds::an_account_has_so_many_connections,
        crowds::a_book_in_a_loop_keeps_nobody_waiting,
        dead_letters::garbage_goes_to_the_dead_letters_and_the_rest_goes_on,
        topics_tool::a_configuration_is_changed_without_reading_the_log,
        other_team::a_reader_may_restart_at_every_offset,
        transactions::markers_are_told_from_records_that_are_lost,
        transactions::a_transactional_producer_stops_no_partition,
        transactions::an_open_transaction_is_told,
        unreadable::a_client_s_invented_schema_goes_to_the_dead_letters,
        unreadable::an_operator_passes_what_a_worker_wrote,
        unreadable::what_is_no_decision_stops_nobody,
        other_team::a_python_consumer_agrees_with_the_database,
        outages::trading_goes_on_while_the_database_is_down,
        outages::an_ingress_that_has_just_started_denies_no_instrument,
        outages::a_token_that_was_revoked_stays_so_while_the_database_is_down,
        outages::workers_start_while_the_registry_is_away,
        outages::another_instance_projects_when_the_owner_is_frozen,
        outages::what_waits_for_kafka_is_written_once,
        outages::what_happened_is_remembered_after_a_restart_of_everything,
        producers::another_takes_the_place_of_one_that_has_failed_for_good,
        clocks::an_ingress_whose_clock_is_wrong_is_not_ready,
        clocks::a_worker_whose_clock_jumps_goes_on,
        chaos::nothing_is_lost_or_doubled_while_processes_die,
        unreadable::no_topic_stops_its_readers_in_silence,
        projection::the_refolded_projection_has_the_same_rows,
        projection::what_stands_before_a_row_that_cannot_be_is_projected,
        projection::an_account_that_contradicts_holds_up_no_other,
        projection::a_row_that_is_refused_for_good_holds_up_no_other,
        projection::what_names_no_worker_says_nothing,
        transactions::a_transactional_producer_stops_no_projection,
        unreadable::garbage_that_no_worker_wrote_stops_nobody,
        clocks::a_broker_that_was_a_day_ahead_stops_the_workers_loudly,
    ]
}
