//! The row of an object that is about to leave, as `docs/store.md` has it (table 42).

use minicbor::Decode;
use once_model::cbor::from_cbor;
use once_model::certificate::Chain;
use once_model::header::Header;
use once_model::moving::Handoff;

/// So much of it as the judge is shown.
#[derive(Decode)]
#[cbor(map)]
struct Leaving {
    #[n(2)]
    sealed: Option<Sealed>,
}

#[derive(Decode)]
#[cbor(map)]
struct Sealed {
    #[n(0)]
    header: Header,
    #[n(1)]
    chain: Chain,
    #[cbor(n(2), with = "once_model::cbor::json_bytes")]
    luggage: bytes::Bytes,
}

/// What an object is handed over as, once it is sealed.
pub(super) fn sealed(row: Option<&[u8]>) -> Option<Handoff> {
    let Sealed { header, chain, luggage } = from_cbor::<Leaving>(row?).ok()?.sealed?;
    Some(Handoff { header, chain, body: None, luggage })
}
