use super::*;

#[test]
fn every_figure_that_moved_shows_and_nothing_else_does() {
    let metrics = Metrics::new();
    metrics.step(Duration::from_millis(1));
    metrics.inputs("request", 3);
    metrics.commit(Duration::from_micros(150));
    metrics.writes(2);
    metrics.deltas_admitted(4);
    metrics.delta_refused("bad-signature");
    metrics.offence("garbage");
    metrics.orphans(3);
    metrics.orphans_dropped(1);
    metrics.forks(1);
    metrics.quarantined(2);
    metrics.exchanges(8);
    metrics.screening_panicked();
    metrics.exchange_bytes(Traffic::In, 100);
    metrics.exchange_bytes(Traffic::Out, 7);
    metrics.gossip_message(Traffic::Out);
    metrics.peers_connected(5);
    metrics.held(10, 20);
    metrics.inbox_depth(6);
    metrics.store_room(7, Some(8));
    metrics.http_request("/v1/status", 200);
    metrics.warning("no-peers", 1);
    metrics.warning("no-room", 0);
    assert_eq!(metrics.store_fault_age(), None);
    metrics.store_fault();
    assert!(metrics.store_fault_age().is_some());
    metrics.watch_behind();
    metrics.built(Built { bytes: 9, dropped: 3, again: 2 });
    assert!(metrics.documents_short().is_none() && metrics.last_busy().is_none());
    metrics.busy("64 batches are running already");
    assert_eq!(metrics.last_busy().map(|(_, bound)| bound), Some("64 batches are running already".into()));
    let open = metrics.watcher();
    let text = metrics.clone().render();
    for line in [
        "starling_steps_total 1",
        "starling_step_seconds_count 1",
        "starling_inputs_total{kind=\"request\"} 3",
        "starling_commits_total 1",
        "starling_commit_seconds_bucket{le=\"0.0002\"} 1",
        "starling_writes_total 2",
        "starling_deltas_admitted_total 4",
        "starling_deltas_refused_total{code=\"bad-signature\"} 1",
        "starling_offences_total{kind=\"garbage\"} 1",
        "starling_orphans_total 3",
        "starling_orphans_dropped_total 1",
        "starling_forks_total 1",
        "starling_quarantined_total 2",
        "starling_exchanges_total 8",
        "starling_screening_panics_total 1",
        "starling_exchange_bytes_total{direction=\"in\"} 100",
        "starling_exchange_bytes_total{direction=\"out\"} 7",
        "starling_gossip_messages_total{direction=\"out\"} 1",
        "starling_peers_connected 5",
        "starling_documents 10",
        "starling_changes 20",
        "starling_watchers 1",
        "starling_inbox_depth 6",
        "starling_store_bytes 7",
        "starling_store_room_bytes 8",
        "starling_http_requests_total{route=\"/v1/status\",status=\"200\"} 1",
        "starling_warnings{code=\"no-peers\"} 1",
        "starling_warnings{code=\"no-room\"} 0",
        "starling_store_faults_total 1",
        "starling_watches_behind_total 1",
        "starling_documents_built_bytes 9",
        "starling_documents_dropped_total 3",
        "starling_documents_built_again_total 2",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    drop(open);
    assert!(metrics.render().contains("starling_watchers 0\n"));
}

/// The families of an OpenMetrics text, each with its kind.
fn families(text: &str) -> std::collections::BTreeSet<(String, String)> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split_once(' ')).map(|(name, kind)| (name.into(), kind.into())).collect()
}

#[test]
fn every_figure_stands_in_the_table_and_the_other_way_round() {
    let metrics = Metrics::new();
    // Families without a label value yet are not shown.
    metrics.inputs("request", 1);
    metrics.delta_refused("sequence");
    metrics.offence("garbage");
    metrics.exchange_bytes(Traffic::In, 1);
    metrics.gossip_message(Traffic::In);
    metrics.http_request("/v1/status", 200);
    metrics.warning("no-peers", 0);
    // The network registers its own (`network/counters.rs`), and libp2p its own.
    let own = table::FIGURES.iter().filter(|figure| figure.name.starts_with("starling_"));
    let own = own.filter(|figure| figure.name != "starling_network_events");
    let listed = own.map(|figure| (figure.name.to_owned(), figure.kind.name().to_owned()));
    assert_eq!(families(&metrics.render()), listed.collect());
}

#[test]
fn the_document_is_made_from_the_table() {
    assert_eq!(
        include_str!("../../../docs/metrics.md"),
        table::reference(),
        "write it anew: cargo run --workspace --example metrics > docs/metrics.md"
    );
}
