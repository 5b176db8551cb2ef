//! Every edge is dense and complete: what arrived is what the sender's inbox, folded offline, sends.

use std::collections::BTreeMap;

use super::finding::Finding;
use super::folds::Folds;
use super::topics::Topics;
use brokerx_client::log::last_numbers;

pub(super) fn check(topics: &Topics, folds: &Folds, findings: &mut Vec<Finding>) {
    let arrived: BTreeMap<&str, BTreeMap<(i32, String), u64>> = BTreeMap::from([
        ("account-commands", last_numbers(&topics.account_commands)),
        ("book-commands", last_numbers(&topics.book_commands)),
        ("replies", last_numbers(&topics.replies)),
        ("account-events", last_numbers(&topics.account_events)),
        ("trades", last_numbers(&topics.trades)),
        ("instruments", last_numbers(&topics.instruments)),
        ("orders", last_numbers(&topics.orders)),
        ("deposits", last_numbers(&topics.deposits)),
        ("ledger", last_numbers(&topics.ledger)),
    ]);
    let mut edges = 0;
    for (source, sent) in folds.sent() {
        for (topic, partition, seq) in sent {
            // Every tick writes market data even while this is read, so the numbers cannot be compared;
            // removing duplicates checks that they have no gap.
            let Some(edges_of_topic) = arrived.get(topic.as_str()) else {
                continue;
            };
            edges += 1;
            let got = edges_of_topic.get(&(partition, source.clone())).copied().unwrap_or(0);
            if got != seq {
                findings.push(Finding(format!(
                    "{source} -> {topic}-{partition}: {seq} were sent, {got} arrived"
                )));
            }
        }
    }
    if edges == 0 {
        findings.push(Finding("no edge was looked at".to_owned()));
    }
}
