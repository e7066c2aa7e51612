//! Values that a function could return instead of what it computes, by its return type as it is written.

use quote::ToTokens;
use syn::{GenericArgument, Path, PathArguments, ReturnType, Type};

/// Of a tuple or a nested type, no more than so many.
const MOST: usize = 6;

const DEFAULT: &str = "::std::default::Default::default()";

/// Values for a return type. Whether they type-check is for the compiler to say.
pub fn of_return(output: &ReturnType) -> Vec<String> {
    match output {
        ReturnType::Default => vec!["()".to_owned()],
        ReturnType::Type(_, ty) => of(ty),
    }
}

fn of(ty: &Type) -> Vec<String> {
    let mut values = match ty {
        Type::Paren(inner) => of(&inner.elem),
        Type::Group(inner) => of(&inner.elem),
        Type::Tuple(tuple) => tuple.elems.iter().fold(vec![String::new()], |heads, elem| {
            let tails = of(elem);
            heads.iter().flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}, "))).collect()
        }),
        Type::Reference(reference) => of_reference(&reference.elem, reference.mutability.is_some()),
        Type::Array(array) => {
            let len = array.len.to_token_stream();
            // `[value; len]` would ask that the value be `Copy`.
            let each = |value| format!("::std::array::from_fn::<_, {{ {len} }}, _>(|_| {value})");
            of(&array.elem).into_iter().map(each).collect()
        }
        Type::Path(path) if path.qself.is_none() => of_path(&path.path),
        // `impl Trait` and `!`: no value is known to be of that type.
        Type::ImplTrait(_) | Type::Never(_) => Vec::new(),
        _ => vec![DEFAULT.to_owned()],
    };
    if let Type::Tuple(_) = ty {
        values.iter_mut().for_each(|value| *value = format!("({value})"));
    }
    values.truncate(MOST);
    values
}

fn of_reference(ty: &Type, mutable: bool) -> Vec<String> {
    match ty {
        Type::Path(path) if path.path.is_ident("str") => vec!["\"\"".to_owned(), "\"xyzzy\"".to_owned()],
        Type::Slice(_) => vec![if mutable { "&mut []" } else { "&[]" }.to_owned()],
        _ => of(ty)
            .into_iter()
            .map(|value| format!("::std::boxed::Box::leak(::std::boxed::Box::new({value}))"))
            .collect(),
    }
}

fn of_path(path: &Path) -> Vec<String> {
    let Some(last) = path.segments.last() else { return Vec::new() };
    let inner = first_type(&last.arguments).map(of);
    let wrapped = |constructor: &str| {
        let values = inner.clone().unwrap_or_else(|| vec![DEFAULT.to_owned()]);
        values.into_iter().map(move |value| format!("{constructor}({value})")).collect::<Vec<_>>()
    };
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    match last.ident.to_string().as_str() {
        "bool" => texts(&["true", "false"]),
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => texts(&["0", "1"]),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => texts(&["0", "1", "-1"]),
        "f32" | "f64" => texts(&["0.0", "1.0", "-1.0"]),
        "String" => texts(&["::std::string::String::new()", "::std::string::String::from(\"xyzzy\")"]),
        "Option" => [texts(&["None"]), wrapped("Some")].concat(),
        "Result" => wrapped("Ok"),
        "Vec" => {
            let one = inner.unwrap_or_default().into_iter().map(|value| format!("::std::vec![{value}]"));
            std::iter::once("::std::vec![]".to_owned()).chain(one).collect()
        }
        "Box" => wrapped("::std::boxed::Box::new"),
        "Rc" => wrapped("::std::rc::Rc::new"),
        "Arc" => wrapped("::std::sync::Arc::new"),
        _ => texts(&[DEFAULT]),
    }
}

fn first_type(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<String> {
        of_return(&syn::parse_str(text).unwrap())
    }

    #[test]
    fn values_follow_the_type_as_it_is_written() {
        assert_eq!(values(""), ["()"]);
        assert_eq!(values("-> bool"), ["true", "false"]);
        assert_eq!(values("-> Result<(), Failure>"), ["Ok(())"]);
        assert_eq!(values("-> Result<Option<u64>, Failure>"), ["Ok(None)", "Ok(Some(0))", "Ok(Some(1))"]);
        assert_eq!(values("-> (bool, u8)"), ["(true, 0, )", "(true, 1, )", "(false, 0, )", "(false, 1, )"]);
        assert_eq!(values("-> Vec<Head>"), ["::std::vec![]".to_owned(), format!("::std::vec![{DEFAULT}]")]);
        assert_eq!(values("-> Head"), [DEFAULT]);
        assert_eq!(
            values("-> [String; 2]")[1],
            "::std::array::from_fn::<_, { 2 }, _>(|_| ::std::string::String::from(\"xyzzy\"))"
        );
        assert_eq!(values("-> &'static str"), ["\"\"", "\"xyzzy\""]);
        assert!(values("-> impl Iterator<Item = u8>").is_empty());
        assert!(values("-> !").is_empty());
    }
}
