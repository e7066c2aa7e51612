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
}

/// What an object is handed over as, once it is sealed. Its luggage lies in a row of its own (table 48).
pub(super) fn sealed(row: Option<&[u8]>, luggage: Option<bytes::Bytes>) -> Option<Handoff> {
    let Sealed { header, chain } = from_cbor::<Leaving>(row?).ok()?.sealed?;
    Some(Handoff { header, chain, body: None, luggage, luggage_size: None })
}
