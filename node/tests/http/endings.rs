//! A node that nobody stops: it ends with the runtime it was started in, so that a test that fails fails.

use std::{sync::mpsc, thread};

use super::*;

#[test]
fn a_runtime_that_is_dropped_ends_the_node_in_it() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    // The trigger is kept: dropped, it would ask the node to stop.
    let node = runtime.block_on(start());
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        drop(runtime);
        ended.send(()).ok();
    });
    end.recv_timeout(DEADLINE).expect("nothing of the node holds its runtime");
    drop(node);
}
