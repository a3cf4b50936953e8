//! Input: a filter in the first line, then a document.

use scim::{
    ScimType,
    filter::{Filter, MAX_LENGTH, Operator, Predicate},
    schema::RESOURCE_TYPES,
};

use super::{assert_error, document, first_line, object};

pub(super) fn run(input: &[u8]) {
    let input = String::from_utf8_lossy(input);
    let (text, rest) = first_line(&input);
    let filter = match Filter::parse(text) {
        Ok(filter) => filter,
        Err(invalid) => return assert_error(&invalid, &[ScimType::InvalidFilter]),
    };
    let printed = filter.to_string();
    // Printing may add blanks and parentheses and exceed the limit.
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
                assert_error(&invalid, &[ScimType::InvalidFilter]);
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

/// Returns the negation, by De Morgan's laws and the definition of `ne`.
fn opposite(predicate: &Predicate) -> Predicate {
    match predicate {
        Predicate::And(all) => Predicate::Or(all.iter().map(opposite).collect()),
        Predicate::Or(any) => Predicate::And(any.iter().map(opposite).collect()),
        Predicate::Not(predicate) => Predicate::clone(predicate),
        Predicate::Compare { place, sub, operator: operator @ (Operator::Eq | Operator::Ne), operand } => {
            let operator = if *operator == Operator::Eq { Operator::Ne } else { Operator::Eq };
            Predicate::Compare { place: place.clone(), sub: *sub, operator, operand: operand.clone() }
        }
        other => Predicate::Not(Box::new(other.clone())),
    }
}
