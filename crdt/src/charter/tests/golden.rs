//! Known answers: the bytes of every signed structure, from fixed keys. A change here is a change
//! of the protocol.

use super::*;

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn statements() -> (Charter, Vec<StatementId>) {
    let mut charter = charter();
    let granted = add(&mut charter, 1, grant(2, Role::Writer, "config/"));
    let body = StatementBody::Invite(Invite {
        invite_key: who(50).key(),
        role: Role::Reader,
        prefix: None,
        uses: Some(3),
        expires: Some(WallTime(TIME.0 + 86_400_000)),
    });
    let invited = add(&mut charter, 1, body);
    let body = join(&charter, invited, 50, 3);
    let joined = add(&mut charter, 1, body);
    let body = StatementBody::CloseInvite(CloseInvite { invite: invited });
    let closed = add(&mut charter, 1, body);
    (charter, vec![granted, invited, joined, closed])
}

#[test]
fn print() {
    let (charter, ids) = statements();
    println!("genesis signable {}", hex(charter.genesis().signable().as_slice()));
    println!("genesis cbor {}", hex(&crate::codec::encode(charter.genesis())));
    println!("space {}", charter.space());
    for id in &ids {
        let s = charter.statement(*id).unwrap();
        println!("{} signable {}", s.body.kind(), hex(s.signable().as_slice()));
        println!("{} cbor {}", s.body.kind(), hex(&s.to_bytes()));
        println!("{} id {}", s.body.kind(), id);
    }
    println!("fingerprint {}", hex(&charter.fingerprint()));
    let t = ticket(&charter, ids[1], 50);
    println!("ticket {}", *t.to_text());
    let r = JoinRequest::new(&t, &who(3), label("node-3"));
    println!("request {}", hex(&crate::codec::encode(&r)));
    let key = EpochKey::from_bytes([7; 32]);
    println!("topic {}", crate::seal::topic(charter.space(), &key));
    println!("sealed {}", hex(&crate::seal::seal(&key, b"starling")));
}
