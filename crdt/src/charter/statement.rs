//! Statements: what is signed, how it travels, and the proof that its signatures were checked.

use std::ops::Deref;

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Decoder, Encode};

use super::{Label, Prefix, Role};
use crate::bounded::decode_sorted;
use crate::codec::{CodecError, Signable, decode, encode};
use crate::id::{AuthorKey, SpaceId, StatementId};
use crate::identity::{BadSignature, Identity, Signature, verify};
use crate::limits::{STATEMENT_BYTES_MAX, TIPS_MAX};
use crate::time::WallTime;

/// Gives `member` a right.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Grant {
    /// Who receives it.
    #[n(0)]
    pub member: AuthorKey,
    /// What may be done.
    #[n(1)]
    pub role: Role,
    /// Where; absent means in the whole space.
    #[n(2)]
    pub prefix: Option<Prefix>,
    /// What to call the member.
    #[n(3)]
    pub name: Option<Label>,
}

/// Lets whoever holds the secret half of `invite_key` join, with a witness.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Invite {
    /// Public half of the secret in the ticket.
    #[n(0)]
    pub invite_key: AuthorKey,
    /// What those who join may do.
    #[n(1)]
    pub role: Role,
    /// Where; absent means in the whole space.
    #[n(2)]
    pub prefix: Option<Prefix>,
    /// How many may join; absent means any number. Concurrent joins can exceed it.
    #[n(3)]
    pub uses: Option<u32>,
    /// Until when, by the clock of the witness; absent means for ever.
    #[n(4)]
    pub expires: Option<WallTime>,
}

/// Ends an invite: who knows this witnesses no further join.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct CloseInvite {
    /// The invite.
    #[n(0)]
    pub invite: StatementId,
}

/// Admits `member` by an invite. Its issuer is the witness, who checked the invite's expiry by its
/// clock and the number of joins it knew.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Join {
    /// The invite.
    #[n(0)]
    pub invite: StatementId,
    /// The invite's key, so that the signature can be checked before the invite is known.
    #[n(1)]
    pub invite_key: AuthorKey,
    /// Who joins.
    #[n(2)]
    pub member: AuthorKey,
    /// What the member calls itself.
    #[n(3)]
    pub name: Label,
    /// By the invite's secret, over [`Join::signable`].
    #[n(4)]
    pub invite_signature: Signature,
    /// By the member, over [`Join::signable`].
    #[n(5)]
    pub member_signature: Signature,
}

impl Join {
    /// The bytes that the invite's secret and the joining member both sign.
    pub fn signable(
        space: SpaceId,
        invite: StatementId,
        invite_key: AuthorKey,
        member: AuthorKey,
        name: &Label,
    ) -> Signable {
        Signable::new("starling/join")
            .bytes(space.as_bytes())
            .bytes(invite.as_bytes())
            .bytes(invite_key.as_bytes())
            .bytes(member.as_bytes())
            .bytes(name.as_str().as_bytes())
    }

    pub(crate) fn verify(&self, space: SpaceId) -> Result<(), BadSignature> {
        let signable = Self::signable(space, self.invite, self.invite_key, self.member, &self.name);
        verify(self.invite_key, &signable, &self.invite_signature)?;
        verify(self.member, &signable, &self.member_signature)
    }
}

/// What a statement says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StatementBody {
    /// Gives a right.
    Grant(Grant),
    /// Opens an invite.
    Invite(Invite),
    /// Closes an invite.
    CloseInvite(CloseInvite),
    /// Admits a member by an invite.
    Join(Join),
}

impl StatementBody {
    /// Name of the kind, stable, for people and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            StatementBody::Grant(_) => "grant",
            StatementBody::Invite(_) => "invite",
            StatementBody::CloseInvite(_) => "close_invite",
            StatementBody::Join(_) => "join",
        }
    }

    /// The invite it speaks of, which what it cites must hold.
    pub(super) fn invite(&self) -> Option<StatementId> {
        match self {
            StatementBody::CloseInvite(close) => Some(close.invite),
            StatementBody::Join(join) => Some(join.invite),
            StatementBody::Grant(_) | StatementBody::Invite(_) => None,
        }
    }

    /// Number of the kind in messages and signed bytes.
    fn number(&self) -> u32 {
        match self {
            StatementBody::Grant(_) => 0,
            StatementBody::Invite(_) => 1,
            StatementBody::CloseInvite(_) => 2,
            StatementBody::Join(_) => 3,
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        match self {
            StatementBody::Grant(grant) => encode(grant),
            StatementBody::Invite(invite) => encode(invite),
            StatementBody::CloseInvite(close) => encode(close),
            StatementBody::Join(join) => encode(join),
        }
    }

    fn from_bytes(kind: u32, bytes: &[u8]) -> Result<Self, StatementError> {
        Ok(match kind {
            0 => StatementBody::Grant(decode(bytes, "grant")?),
            1 => StatementBody::Invite(decode(bytes, "invite")?),
            2 => StatementBody::CloseInvite(decode(bytes, "close of an invite")?),
            3 => StatementBody::Join(decode(bytes, "join")?),
            unknown => return Err(StatementError::UnknownKind(unknown)),
        })
    }

    fn sign_into(&self, signable: Signable) -> Signable {
        let signable = signable.number(u64::from(self.number()));
        match self {
            StatementBody::Grant(grant) => {
                let signable = sign_right(signable.bytes(&grant.member.0), grant.role, &grant.prefix);
                sign_option(signable, grant.name.as_ref().map(|name| name.as_str().as_bytes()))
            }
            StatementBody::Invite(invite) => {
                let signable = sign_right(signable.bytes(&invite.invite_key.0), invite.role, &invite.prefix);
                let uses = invite.uses.map(|uses| u64::from(uses).to_be_bytes());
                let expires = invite.expires.map(|time| time.0.to_be_bytes());
                let signable = sign_option(signable, uses.as_ref().map(<[u8; 8]>::as_slice));
                sign_option(signable, expires.as_ref().map(<[u8; 8]>::as_slice))
            }
            StatementBody::CloseInvite(close) => signable.bytes(&close.invite.0),
            StatementBody::Join(join) => signable
                .bytes(&join.invite.0)
                .bytes(&join.invite_key.0)
                .bytes(&join.member.0)
                .bytes(join.name.as_str().as_bytes())
                .bytes(&join.invite_signature.0)
                .bytes(&join.member_signature.0),
        }
    }
}

fn sign_right(signable: Signable, role: Role, prefix: &Option<Prefix>) -> Signable {
    let signable = signable.number(u64::from(role.number()));
    sign_option(signable, prefix.as_ref().map(|prefix| prefix.as_str().as_bytes()))
}

/// An optional field is a number of fields, 0 or 1, and then that field.
fn sign_option(signable: Signable, field: Option<&[u8]>) -> Signable {
    match field {
        None => signable.number(0),
        Some(field) => signable.number(1).bytes(field),
    }
}

/// Why bytes are no statement this node can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// No such message, or a field breaks its bounds.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// More bytes than any statement of this version has.
    #[error("a statement of {0} bytes is longer than {STATEMENT_BYTES_MAX}")]
    TooLong(usize),
    /// Made by a newer version. Nobody's offence: what cites it waits until this node is updated.
    #[error("unknown kind {0} of statement, made by a newer version")]
    UnknownKind(u32),
    /// A signature does not match.
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

impl StatementError {
    /// Stable code of the reason.
    pub fn code(&self) -> &'static str {
        match self {
            StatementError::Codec(_) => "malformed",
            StatementError::TooLong(_) => "too_long",
            StatementError::UnknownKind(_) => "unknown_kind",
            StatementError::Signature(_) => "bad_signature",
        }
    }
}

/// One signed statement, as received: nothing about it has been checked but its form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statement {
    /// The space it belongs to.
    pub space: SpaceId,
    /// Who says it.
    pub issuer: AuthorKey,
    /// The statements it cites, sorted and distinct.
    pub tips: Vec<StatementId>,
    /// When its issuer says it was made.
    pub time: WallTime,
    /// What it says.
    pub body: StatementBody,
    /// By the issuer, over [`Statement::signable`].
    pub signature: Signature,
}

/// How a statement travels: the body as bytes of its own, so that an unknown kind is recognised.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Envelope {
    #[n(0)]
    space: SpaceId,
    #[n(1)]
    issuer: AuthorKey,
    #[cbor(n(2), decode_with = "decode_tips")]
    tips: Vec<StatementId>,
    #[n(3)]
    time: WallTime,
    #[n(4)]
    kind: u32,
    #[n(5)]
    body: ByteVec,
    #[n(6)]
    signature: Signature,
}

/// Decodes at most [`TIPS_MAX`] tips, sorted and distinct.
pub(crate) fn decode_tips<'b, C>(
    d: &mut Decoder<'b>,
    ctx: &mut C,
) -> Result<Vec<StatementId>, minicbor::decode::Error> {
    decode_sorted(d, ctx, TIPS_MAX, "tips")
}

impl Statement {
    /// Signs a statement. `tips` are sorted, doubles dropped, and cut to [`TIPS_MAX`].
    pub fn sign(
        issuer: &Identity,
        space: SpaceId,
        mut tips: Vec<StatementId>,
        time: WallTime,
        body: StatementBody,
    ) -> Self {
        tips.sort();
        tips.dedup();
        tips.truncate(TIPS_MAX);
        let signature = Signature([0; 64]);
        let mut statement = Self { space, issuer: issuer.key(), tips, time, body, signature };
        statement.signature = issuer.sign(&statement.signable());
        statement
    }

    /// The bytes that the issuer signs and whose hash names the statement.
    pub fn signable(&self) -> Signable {
        let head = Signable::new("starling/statement")
            .bytes(self.space.as_bytes())
            .bytes(self.issuer.as_bytes())
            .number(self.tips.len() as u64);
        let tips = self.tips.iter().fold(head, |signable, tip| signable.bytes(&tip.0));
        self.body.sign_into(tips.number(self.time.0.cast_unsigned()))
    }

    /// Its name: the hash of what was signed.
    pub fn id(&self) -> StatementId {
        StatementId(self.signable().hash())
    }

    /// The form in messages and stores.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(&Envelope {
            space: self.space,
            issuer: self.issuer,
            tips: self.tips.clone(),
            time: self.time,
            kind: self.body.number(),
            body: self.body.to_bytes().into(),
            signature: self.signature,
        })
    }

    /// Reads that form. Fields of newer versions are skipped; a newer kind is an error of its own.
    ///
    /// # Errors
    /// [`StatementError`], except for signatures, which are not looked at.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StatementError> {
        if bytes.len() > STATEMENT_BYTES_MAX {
            return Err(StatementError::TooLong(bytes.len()));
        }
        let Envelope { space, issuer, tips, time, kind, body, signature } = decode(bytes, "statement")?;
        let body = StatementBody::from_bytes(kind, &body)?;
        Ok(Self { space, issuer, tips, time, body, signature })
    }

    /// Checks every signature: the issuer's, and those inside a join.
    ///
    /// # Errors
    /// [`BadSignature`] when one does not match.
    pub fn verify(self) -> Result<VerifiedStatement, BadSignature> {
        let signable = self.signable();
        verify(self.issuer, &signable, &self.signature)?;
        if let StatementBody::Join(join) = &self.body {
            join.verify(self.space)?;
        }
        Ok(VerifiedStatement { id: StatementId(signable.hash()), statement: self })
    }
}

/// A statement whose signatures were checked. There is no other way to make one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifiedStatement {
    id: StatementId,
    statement: Statement,
}

impl VerifiedStatement {
    /// Reads and checks the form in messages and stores.
    ///
    /// # Errors
    /// [`StatementError`] when the form or a signature is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StatementError> {
        Ok(Statement::from_bytes(bytes)?.verify()?)
    }

    /// Its name.
    pub fn id(&self) -> StatementId {
        self.id
    }
}

impl Deref for VerifiedStatement {
    type Target = Statement;

    fn deref(&self) -> &Statement {
        &self.statement
    }
}
