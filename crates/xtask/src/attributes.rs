//! What the attributes of an item say of it.

use quote::ToTokens;
use syn::Attribute;

/// Whether something is compiled only for tests: of this crate, or with the harness for those of others.
pub fn is_test(attributes: &[Attribute]) -> bool {
    is_one_of(attributes, &["test", "cfg(test)", "cfg(any(test,feature=\"testing\"))"])
}

/// Whether one of the attributes is one of these, written without spaces.
pub fn is_one_of(attributes: &[Attribute], wanted: &[&str]) -> bool {
    attributes.iter().any(|attribute| {
        let meta = attribute.meta.to_token_stream().to_string().replace(' ', "");
        wanted.contains(&meta.as_str())
    })
}
