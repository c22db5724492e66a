//! Another member that was away hears of everything by repair, and shows the same.

use starling_crdt::address::Address;
use starling_crdt::exchange::{Request, Response, decode_message};
use starling_crdt::replica::{Effect, Input, Replica};
use starling_crdt::store::{MemoryStore, Store};
use starling_crdt::verify::verify;

use super::{BEGINNING, Shown, now, open, shown};

/// Half a second each: two minutes, longer than repair leaves anything undone.
const ROUNDS_MAX: u64 = 240;

/// Rounds after which the two are compared: 1, 2, 4 and so on, and at the end.
fn is_time_to_look(round: u64) -> bool {
    round.is_power_of_two() || round == ROUNDS_MAX
}

/// One of the two, and what waits for its next step.
struct Side<'r, S: Store> {
    replica: &'r mut Replica<S>,
    inputs: Vec<Input>,
}

impl<S: Store> Side<'_, S> {
    /// One step; what it sends goes to the other side, and whoever else it asks is not there.
    fn step<T: Store>(&mut self, at: u64, other: &mut Side<'_, T>) {
        let (own, peer) = (self.replica.key(), other.replica.key());
        let effects = self.replica.step(now(at), std::mem::take(&mut self.inputs)).expect("memory");
        for effect in effects {
            match effect {
                Effect::Ask { peer: asked, id, body } if asked == peer => {
                    decode_message::<Request>(&body).expect("a replica's question is readable");
                    let request = other.replica.screener().screen_request(&body);
                    other.inputs.push(Input::Asked { peer: own, id, request });
                }
                Effect::Ask { peer, id, .. } => {
                    let answer = Err("nobody is there".to_owned());
                    self.inputs.push(Input::Answered { peer, id, answer });
                }
                Effect::Answer { peer: asker, id, body } if asker == peer => {
                    decode_message::<Response>(&body).expect("a replica's answer is readable");
                    let answer = other.replica.screener().screen_answer(&body);
                    other.inputs.push(Input::Answered { peer: own, id, answer: Ok(answer) });
                }
                _ => {}
            }
        }
    }
}

/// Connects `replica` with a twin that holds what there was at the beginning, and lets them repair.
///
/// # Panics
/// When they do not end up with the same documents.
pub fn agrees<S: Store>(replica: &mut Replica<S>, mut at: u64) {
    let store = MemoryStore::new(starling_crdt::id::StoreId([3; 16]));
    let mut filled = store.clone();
    filled.commit(&BEGINNING.twin_rows).expect("memory");
    let mut twin = open(store.clone(), 3, 200, at);
    let address = || Address::new("mem").expect("an address");
    let up = |peer, inbound| Input::PeerUp { peer, address: address(), inbound };
    let (own, peer) = (replica.key(), twin.key());
    let mut here = Side { replica, inputs: vec![up(peer, false)] };
    let mut there = Side { replica: &mut twin, inputs: vec![up(own, true)] };
    let mut last: Option<(Shown, Shown)> = None;
    for round in 1..=ROUNDS_MAX {
        at += 500_000;
        here.step(at, &mut there);
        there.step(at, &mut here);
        if is_time_to_look(round) {
            let both = (shown(here.replica), shown(there.replica));
            let equal = both.0 == both.1;
            last = Some(both);
            if equal {
                break;
            }
        }
    }
    let (ours, theirs) = last.expect("they are compared at the end");
    assert_eq!(ours, theirs, "two minutes of repair leave a difference");
    let report = verify(&store, None).expect("memory");
    assert!(report.is_sound(), "{:?}", report.findings);
}
