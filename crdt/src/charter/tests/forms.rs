//! Statements, tickets and geneses as bytes and text: what is refused, and with which words.

use super::*;

#[test]
fn a_changed_statement_is_refused() {
    let charter = charter();
    let good = say(&charter, 1, grant(2, Role::Reader, "a/"));
    let bytes = good.to_bytes();
    assert_eq!(VerifiedStatement::from_bytes(&bytes), Ok(good));
    for byte in 0..bytes.len() {
        let mut bent = bytes.clone();
        bent[byte] ^= 1;
        assert!(VerifiedStatement::from_bytes(&bent).is_err(), "byte {byte}");
    }
    for length in 0..bytes.len() {
        let cut = VerifiedStatement::from_bytes(&bytes[..length]);
        assert!(matches!(cut, Err(StatementError::Codec(_))), "length {length}");
    }
}

#[test]
fn statements_of_newer_versions_are_named_not_garbled() {
    let charter = charter();
    let bytes = say(&charter, 1, grant(2, Role::Reader, "")).to_bytes();
    // Key 4 is the kind: replace kind 0 by kind 9.
    let at = bytes.windows(2).position(|pair| pair == [4, 0]).unwrap();
    let mut newer = bytes.clone();
    newer[at + 1] = 9;
    let error = Statement::from_bytes(&newer).unwrap_err();
    assert_eq!(error, StatementError::UnknownKind(9));
    assert_eq!(error.to_string(), "unknown kind 9 of statement, made by a newer version");
    // A field this version does not know is skipped.
    let mut wider = bytes.clone();
    wider[0] += 1;
    wider.extend_from_slice(&[0x18, 99, 0x61, b'x']);
    assert_eq!(Statement::from_bytes(&wider), Statement::from_bytes(&bytes));
    let long = vec![0; STATEMENT_BYTES_MAX + 1];
    assert_eq!(Statement::from_bytes(&long), Err(StatementError::TooLong(long.len())));
}

#[test]
fn the_longest_statement_fits_its_bound() {
    let tips: Vec<StatementId> = (0..TIPS_MAX + 5).map(|n| StatementId([n as u8; 32])).collect();
    let mut tips: Vec<StatementId> = tips;
    for (n, tip) in tips.iter_mut().enumerate() {
        tip.0[..8].copy_from_slice(&(n as u64).to_be_bytes());
    }
    let body = StatementBody::Grant(Grant {
        member: who(2).key(),
        role: Role::Admin,
        prefix: prefix(&"x".repeat(512)),
        name: Some(label(&"y".repeat(64))),
    });
    let statement = Statement::sign(&who(1), SpaceId([1; 32]), tips, WallTime(i64::MIN), body);
    assert_eq!(statement.tips.len(), TIPS_MAX);
    let bytes = statement.to_bytes();
    assert!(bytes.len() <= STATEMENT_BYTES_MAX, "{}", bytes.len());
    assert_eq!(Statement::from_bytes(&bytes), Ok(statement));
}

#[test]
fn lists_that_are_unsorted_or_too_long_do_not_decode() {
    let charter = charter();
    let mut statement = (*say(&charter, 1, grant(2, Role::Reader, ""))).clone();
    statement.tips = vec![StatementId([2; 32]), StatementId([1; 32])];
    assert!(matches!(Statement::from_bytes(&statement.to_bytes()), Err(StatementError::Codec(_))));
    statement.tips = vec![StatementId([2; 32]); 2];
    assert!(matches!(Statement::from_bytes(&statement.to_bytes()), Err(StatementError::Codec(_))));
    let mut many = ticket(&charter, StatementId([1; 32]), 50);
    many.addresses = vec![Address::new("a:1").unwrap(); ADDRESSES_MAX + 1];
    assert!(matches!(Ticket::parse(&many.to_text()), Err(TicketError::Malformed(_))));
}

#[test]
fn a_ticket_survives_white_space_and_says_what_is_wrong_otherwise() {
    let mut charter = charter();
    let id = add(&mut charter, 1, invite(50, Role::Reader, "", None));
    let ticket = ticket(&charter, id, 50);
    let text = ticket.to_text();
    assert!(text.starts_with("starling-ticket-0:"));
    let broken_line = format!("\n\t {}\n  {} \r\n", &text[..70], &text[70..]);
    for form in [text.as_str(), &broken_line] {
        let read = Ticket::parse(form).unwrap();
        assert_eq!(read.genesis, ticket.genesis);
        assert_eq!(read.invite_identity().key(), who(50).key());
        assert!(read.epoch_key == ticket.epoch_key && read.addresses == ticket.addresses);
    }
    let last = text.len() - 1;
    let mut typo = text.to_string();
    let wrong = if typo.as_bytes()[40] == b'A' { "B" } else { "A" };
    typo.replace_range(40..41, wrong);
    let long = format!("{}{}", text.as_str(), "A".repeat(20_000));
    let newer = text.replace("starling-ticket-0:", "starling-ticket-7:");
    for (bad, expected) in [
        ("", TicketError::NotATicket),
        ("/ip4/10.0.0.1/tcp/4710", TicketError::NotATicket),
        ("starling-ticket-x:AAAA", TicketError::NotATicket),
        ("starling-ticket-0", TicketError::Mistyped),
        ("starling-ticket-0:", TicketError::Mistyped),
        ("starling-ticket-0:!!!!", TicketError::Mistyped),
        (&text[..last], TicketError::Mistyped),
        (&text[..60], TicketError::Mistyped),
        (&typo, TicketError::Mistyped),
        (&newer, TicketError::Newer(7)),
        (&long, TicketError::TooLong),
    ] {
        assert_eq!(Ticket::parse(bad).unwrap_err(), expected, "{bad:.60}");
    }
}

#[test]
fn a_ticket_with_a_right_checksum_and_wrong_content_is_malformed() {
    use base64::Engine;
    use sha2::{Digest, Sha256};
    let write = |content: &[u8]| {
        let sum = Sha256::digest(content);
        let bytes = [content, &sum[..4]].concat();
        let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        format!("starling-ticket-0:{text}")
    };
    let parse = |content: &[u8]| Ticket::parse(&write(content)).unwrap_err();
    assert!(matches!(parse(&[0, 0xff]), TicketError::Malformed(CodecError::Malformed { .. })));
    assert_eq!(parse(&[3, 0xa0]), TicketError::Newer(3));
    assert_eq!(parse(&[]), TicketError::Mistyped);
}

#[test]
fn debug_forms_show_no_secret() {
    let charter = charter();
    let shown = format!("{:?}", ticket(&charter, StatementId([1; 32]), 50));
    assert!(!shown.contains("50, 50") && !shown.contains("7, 7") && !shown.contains("3232"));
    assert!(shown.contains("fleet"), "{shown}");
}

#[test]
fn a_genesis_needs_founders_and_obeys_its_bounds() {
    let make = |founders| Genesis::new(label("a"), TIME, [0; 16], founders);
    assert_eq!(make(vec![]).unwrap_err(), GenesisError::NoFounder);
    let many: Vec<AuthorKey> = (0..65).map(|n| AuthorKey([n; 32])).collect();
    assert_eq!(make(many).unwrap_err(), GenesisError::TooManyFounders);
    let (one, two) = (who(1).key(), who(2).key());
    assert_eq!(make(vec![one, two, one]), make(vec![two, one]));
    let bytes = crate::codec::encode(&make(vec![one]).unwrap());
    let read: Genesis = crate::codec::decode(&bytes, "genesis").unwrap();
    assert_eq!(read, make(vec![one]).unwrap());
    // Key 4 is the policy, an empty map at the end: a rule in it cannot be obeyed.
    assert_eq!(bytes.last(), Some(&0xa0));
    let mut ruled = bytes[..bytes.len() - 1].to_vec();
    ruled.extend_from_slice(&[0xa1, 0, 1]);
    let error = crate::codec::decode::<Genesis>(&ruled, "genesis").unwrap_err();
    assert!(error.to_string().contains("policy of a newer version"), "{error}");
}

#[test]
fn unsigned_bytes_are_no_statement() {
    let charter = charter();
    let mut statement = (*say(&charter, 1, grant(2, Role::Reader, ""))).clone();
    statement.signature = Signature([0; 64]);
    assert_eq!(statement.clone().verify(), Err(BadSignature));
    statement.issuer = AuthorKey([0xff; 32]);
    assert_eq!(statement.verify(), Err(BadSignature));
}
