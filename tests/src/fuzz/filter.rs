//! A filter in the first line, a document in the rest.

use scim::{
    ScimType,
    filter::Predicate,
    parser::MAX_LENGTH,
    schema::RESOURCE_TYPES,
    syntax::{Filter, Operator},
};

use super::{document, first_line, object, refused};

pub(super) fn run(input: &[u8]) {
    let input = String::from_utf8_lossy(input);
    let (text, rest) = first_line(&input);
    let filter = match Filter::parse(text) {
        Ok(filter) => filter,
        Err(invalid) => return refused(&invalid, &[ScimType::InvalidFilter]),
    };
    let printed = filter.to_string();
    // What is added in printing (a blank, a parenthesis) may be too much.
    let same = if printed.chars().count() <= MAX_LENGTH {
        Filter::parse(&printed).unwrap_or_else(|invalid| panic!("{printed}: {invalid}"))
    } else {
        filter.clone()
    };
    assert_eq!(same.to_string(), printed);
    for resource_type in RESOURCE_TYPES {
        let predicate = match filter.resolve(resource_type) {
            Ok(predicate) => predicate,
            Err(invalid) => {
                refused(&invalid, &[ScimType::InvalidFilter]);
                continue;
            }
        };
        assert_eq!(same.resolve(resource_type).as_ref(), Ok(&predicate), "{printed}");
        assert_eq!(filter.resolve_among(resource_type, &RESOURCE_TYPES).as_ref(), Ok(&predicate));
        let opposite = opposite(&predicate);
        let canonical = document(resource_type, rest);
        for document in [Some(canonical.as_map().clone()), object(rest)].into_iter().flatten() {
            assert_ne!(predicate.matches(&document), opposite.matches(&document), "{printed}");
        }
    }
}

/// True where the predicate is false, by De Morgan and by what `ne` is.
fn opposite(predicate: &Predicate) -> Predicate {
    match predicate {
        Predicate::And(all) => Predicate::Or(all.iter().map(opposite).collect()),
        Predicate::Or(any) => Predicate::And(any.iter().map(opposite).collect()),
        Predicate::Not(predicate) => Predicate::clone(predicate),
        Predicate::Compare {
            attribute,
            sub,
            operator: operator @ (Operator::Eq | Operator::Ne),
            operand,
        } => {
            let operator = if *operator == Operator::Eq { Operator::Ne } else { Operator::Eq };
            Predicate::Compare { attribute: attribute.clone(), sub: *sub, operator, operand: operand.clone() }
        }
        other => Predicate::Not(Box::new(other.clone())),
    }
}
