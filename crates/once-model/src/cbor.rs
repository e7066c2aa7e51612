//! Records as CBOR, and how fields of foreign types are written in it.

use minicbor::{Decode, Encode};

/// Bytes that are not the value that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// Not the CBOR of such a value.
    #[error("malformed: {0}")]
    Malformed(String),
    /// The value is well-formed, and followed by more bytes.
    #[error("{0} bytes after the end")]
    Trailing(usize),
}

/// Encodes a value that cannot fail to encode (writing to a vector is infallible).
#[must_use]
pub fn to_cbor<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    // The only error of this writer is `Infallible`; a custom encoder of ours never raises its own.
    let _ = minicbor::encode(value, &mut out);
    out
}

/// Decodes a value that fills the bytes exactly.
///
/// # Errors
/// When the bytes are not that value, or more follow.
pub fn from_cbor<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, CborError> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode().map_err(|e| CborError::Malformed(e.to_string()))?;
    match bytes.len() - decoder.position() {
        0 => Ok(value),
        rest => Err(CborError::Trailing(rest)),
    }
}

/// A UUID as a byte string of 16.
pub mod uuid_bytes {
    use minicbor::{Decoder, Encoder, decode as de, encode as en};
    use uuid::Uuid;

    /// Writes it.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn encode<C, W: en::Write>(
        v: &Uuid,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), en::Error<W::Error>> {
        e.bytes(v.as_bytes())?.ok()
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is not a byte string of 16.
    pub fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Uuid, de::Error> {
        Uuid::from_slice(d.bytes()?).map_err(|_| de::Error::message("wrong length of UUID"))
    }
}

/// A UUID as a byte string of 16, or absent.
pub mod option_uuid_bytes {
    use minicbor::{Decoder, Encoder, data::Type, decode as de, encode as en};
    use uuid::Uuid;

    /// Writes it.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn encode<C, W: en::Write>(
        v: &Option<Uuid>,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), en::Error<W::Error>> {
        match v {
            Some(uuid) => e.bytes(uuid.as_bytes())?.ok(),
            None => e.null()?.ok(),
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is neither null nor a byte string of 16.
    pub fn decode<C>(d: &mut Decoder<'_>, ctx: &mut C) -> Result<Option<Uuid>, de::Error> {
        if d.datatype()? == Type::Null {
            d.null()?;
            return Ok(None);
        }
        super::uuid_bytes::decode(d, ctx).map(Some)
    }

    /// Whether it is left out.
    #[must_use]
    pub fn is_nil(v: &Option<Uuid>) -> bool {
        v.is_none()
    }

    /// What stands for it when it was left out.
    #[must_use]
    pub fn nil() -> Option<Option<Uuid>> {
        Some(None)
    }
}

/// JSON as a byte string.
pub mod json_bytes {
    use bytes::Bytes;
    use minicbor::{Decoder, Encoder, decode as de, encode as en};

    /// Writes it.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn encode<C, W: en::Write>(
        v: &Bytes,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), en::Error<W::Error>> {
        e.bytes(v)?.ok()
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is not a byte string.
    pub fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Bytes, de::Error> {
        d.bytes().map(Bytes::copy_from_slice)
    }
}

/// A list that is left out when it is empty.
#[allow(clippy::ptr_arg, reason = "the derived code gives the field as it is")]
pub mod some_of {
    use minicbor::{Decode, Decoder, Encode, Encoder, decode as de, encode as en};

    /// Writes it.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn encode<C, T: Encode<C>, W: en::Write>(
        v: &Vec<T>,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), en::Error<W::Error>> {
        v.encode(e, ctx)
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is no list of these.
    pub fn decode<'b, C, T: Decode<'b, C>>(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Vec<T>, de::Error> {
        Vec::decode(d, ctx)
    }

    /// Whether it is left out.
    #[must_use]
    pub fn is_nil<T>(v: &Vec<T>) -> bool {
        v.is_empty()
    }

    /// What stands for it when it was left out.
    #[must_use]
    pub const fn nil<T>() -> Option<Vec<T>> {
        Some(Vec::new())
    }
}

/// Bytes as a byte string, or absent.
pub mod option_bytes {
    use bytes::Bytes;
    use minicbor::{Decoder, Encoder, data::Type, decode as de, encode as en};

    /// Writes it.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn encode<C, W: en::Write>(
        v: &Option<Bytes>,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), en::Error<W::Error>> {
        match v {
            Some(bytes) => e.bytes(bytes)?.ok(),
            None => e.null()?.ok(),
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is neither null nor a byte string.
    pub fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Option<Bytes>, de::Error> {
        if d.datatype()? == Type::Null {
            d.null()?;
            return Ok(None);
        }
        Ok(Some(Bytes::copy_from_slice(d.bytes()?)))
    }

    /// Whether it is left out.
    #[must_use]
    pub fn is_nil(v: &Option<Bytes>) -> bool {
        v.is_none()
    }

    /// What stands for it when it was left out.
    #[must_use]
    pub fn nil() -> Option<Option<Bytes>> {
        Some(None)
    }
}
