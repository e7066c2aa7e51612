//! The list of all methods. Dispatch, schema and pages are made from it: a method that is not here does not exist.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::access::{Grant, Grants, GrantsResult, Revoke};
use super::acting::{
    Act, ActionInfo, Cancel, History, HistoryResult, Outcome, Receipt, ReceiptInfo, Receipts, ReceiptsResult,
};
use super::conflicts::{Conflicts, ConflictsDrop, ConflictsKeep, ConflictsResult};
use super::coordination::{Coordinate, CoordinationInfo};
use super::events::{Events, EventsResult, Listen, ListenResult};
use super::find::{Find, FindResult};
use super::health::{
    ClockAccept, ClockAcceptResult, ConfirmLosses, ConfirmLossesResult, Doctor, DoctorResult, Hello,
    HelloResult, Quarantine, QuarantineEnd, QuarantineEndResult, QuarantineResult, Status, StatusResult,
    Stop, Survey, SurveyResult,
};
use super::method::Method;
use super::moving::{
    Drain, DrainCancel, DrainCancelResult, DrainResult, Move, MoveResult, Moves, MovesResult, MovesWithdraw,
    MovesWithdrawResult, Retire, RetireResult,
};
use super::objects::{
    ChangeInfo, Claim, Create, Get, GetResult, Import, ImportResult, List, ListResult, Path, PathResult, Put,
    Refs, RefsResult, Remove,
};
use super::outbox::{Outbox, OutboxDrop, OutboxDropResult, OutboxResult};
use super::peers::{
    Invite, InviteResult, Invites, InvitesResult, InvitesRevoke, InvitesRevokeResult, Join, JoinResult,
    PeerResult, Peers, PeersAdd, PeersDial, PeersDialResult, PeersRemove, PeersResult, PeersSet,
};
use super::serving::{Done, Ran, Serve, ServeActivity, ServeActivityResult, ServeResult, Unserve, Worked};
use super::sharing::{
    Exchange, ExchangeResult, Follow, FollowInfo, Follows, FollowsResult, Request, RequestResult, Share,
    ShareResult, Unfollow,
};
use crate::Error;

/// What makes the schema of a type.
type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

/// A method, as the list has it.
#[derive(Debug, Clone, Copy)]
pub struct MethodInfo {
    /// The heading under which pages show it.
    pub group: &'static str,
    /// Its name on the wire.
    pub name: &'static str,
    pub(super) params: MakeSchema,
    pub(super) result: MakeSchema,
}

impl MethodInfo {
    const fn of<M: Method>(group: &'static str) -> Self {
        let (params, result) = (schema::<M> as MakeSchema, schema::<M::Result> as MakeSchema);
        Self { group, name: M::NAME, params, result }
    }
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

macro_rules! methods {
    ($($group:literal { $($name:literal $params:ident -> $result:ty;)* })*) => {
        $($(
            impl Method for $params {
                const NAME: &'static str = $name;
                type Result = $result;
            }
        )*)*

        /// Every method, in the order of the pages.
        pub const METHODS: &[MethodInfo] = &[$($(MethodInfo::of::<$params>($group)),*),*];

        /// A call whose parameters were understood.
        #[derive(Debug)]
        pub(in crate::api) enum Call {
            $($($params($params),)*)*
        }

        impl Call {
            /// Reads a call.
            ///
            /// # Errors
            /// When there is no such method, or it does not have such parameters.
            pub fn read(method: &str, params: Value) -> Result<Self, Error> {
                match method {
                    $($($name => read(params).map(Self::$params),)*)*
                    other => Err(Error::usage(format!("no method '{other}'"))),
                }
            }
        }
    };
}

methods! {
    "Kernel" {
        "hello" Hello -> HelloResult;
        "status" Status -> StatusResult;
        "listen" Listen -> ListenResult;
        "events" Events -> EventsResult;
        "stop" Stop -> bool;
    }
    "Objects" {
        "import" Import -> ImportResult;
        "create" Create -> ChangeInfo;
        "put" Put -> ChangeInfo;
        "claim" Claim -> ChangeInfo;
        "remove" Remove -> ChangeInfo;
        "list" List -> ListResult;
        "find" Find -> FindResult;
        "get" Get -> GetResult;
        "path" Path -> PathResult;
        "refs" Refs -> RefsResult;
    }
    "Actions" {
        "act" Act -> ActionInfo;
        "outcome" Outcome -> ActionInfo;
        "cancel" Cancel -> ActionInfo;
        "receipt" Receipt -> ReceiptInfo;
        "receipts" Receipts -> ReceiptsResult;
        "history" History -> HistoryResult;
        "coordinate" Coordinate -> CoordinationInfo;
    }
    "Peers and rights" {
        "invite" Invite -> InviteResult;
        "invites" Invites -> InvitesResult;
        "invites.revoke" InvitesRevoke -> InvitesRevokeResult;
        "join" Join -> JoinResult;
        "peers" Peers -> PeersResult;
        "peers.add" PeersAdd -> PeerResult;
        "peers.set" PeersSet -> PeerResult;
        "peers.remove" PeersRemove -> PeerResult;
        "peers.dial" PeersDial -> PeersDialResult;
        "grant" Grant -> GrantsResult;
        "revoke" Revoke -> GrantsResult;
        "grants" Grants -> GrantsResult;
    }
    "Sharing" {
        "share" Share -> ShareResult;
        "request" Request -> RequestResult;
        "exchange" Exchange -> ExchangeResult;
        "follow" Follow -> FollowInfo;
        "unfollow" Unfollow -> FollowInfo;
        "follows" Follows -> FollowsResult;
        "outbox" Outbox -> OutboxResult;
        "outbox.drop" OutboxDrop -> OutboxDropResult;
        "conflicts" Conflicts -> ConflictsResult;
        "conflicts.keep" ConflictsKeep -> ChangeInfo;
        "conflicts.drop" ConflictsDrop -> ChangeInfo;
    }
    "Moving" {
        "move" Move -> MoveResult;
        "moves" Moves -> MovesResult;
        "moves.withdraw" MovesWithdraw -> MovesWithdrawResult;
        "drain" Drain -> DrainResult;
        "drain.cancel" DrainCancel -> DrainCancelResult;
        "retire" Retire -> RetireResult;
    }
    "Care" {
        "doctor" Doctor -> DoctorResult;
        "survey" Survey -> SurveyResult;
        "confirm_losses" ConfirmLosses -> ConfirmLossesResult;
        "clock.accept" ClockAccept -> ClockAcceptResult;
        "quarantine" Quarantine -> QuarantineResult;
        "quarantine.end" QuarantineEnd -> QuarantineEndResult;
    }
    "Serving" {
        "serve" Serve -> ServeResult;
        "ran" Ran -> Done;
        "serve_activity" ServeActivity -> ServeActivityResult;
        "worked" Worked -> Done;
        "unserve" Unserve -> Done;
    }
}

/// Reads a method's parameters.
fn read<T: DeserializeOwned>(params: Value) -> Result<T, Error> {
    let params = if params.is_null() { json!({}) } else { params };
    serde_json::from_value(params)
        .map_err(|e| Error::usage(format!("parameters: {}", crate::component::words::plain(&e))))
}
