//! Condition and update expressions, as far as the protocol uses them.

use serde_json::Value;

/// A condition that is part of a conjunction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Term {
    /// `attribute_exists(a)`
    Exists(String),
    /// `attribute_not_exists(a)`
    Missing(String),
    /// `a = :v`
    Equals(String, String),
    /// `attribute_not_exists(a) OR a <> :v`
    Differs(String, String),
    /// `a < :v`
    Below(String, String),
    /// `attribute_not_exists(a) OR a < :v`
    MissingOrBelow(String, String),
}

/// A change of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Assignment {
    /// `SET a = :v`
    Set(String, String),
    /// `REMOVE a`
    Remove(String),
    /// `ADD a :v`
    Add(String, String),
}

/// Returns the terms of a condition expression, sorted.
///
/// # Errors
/// The text that is not understood.
pub(super) fn condition(expression: &str, values: &Value) -> Result<Vec<Term>, String> {
    let mut parser = Parser { tokens: tokens(expression), values };
    let mut terms = parser.conjunction()?;
    if let Some(token) = parser.tokens.first() {
        Err(format!("'{token}' in the condition '{expression}'"))
    } else {
        terms.sort();
        Ok(terms)
    }
}

/// Returns the assignments of an update expression.
///
/// # Errors
/// The text that is not understood.
pub(super) fn update(expression: &str, values: &Value) -> Result<Vec<Assignment>, String> {
    let unknown = || format!("the update '{expression}'");
    let mut parser = Parser { tokens: tokens(expression), values };
    let mut assignments = Vec::new();
    let mut clause = String::new();
    while let Some(token) = parser.next() {
        match token.as_str() {
            "SET" | "REMOVE" | "ADD" => clause = token,
            "," => {}
            _ => assignments.push(match clause.as_str() {
                "SET" => {
                    parser.expect("=")?;
                    Assignment::Set(token, parser.value()?)
                }
                "REMOVE" => Assignment::Remove(token),
                "ADD" => Assignment::Add(token, parser.value()?),
                _ => return Err(unknown()),
            }),
        }
    }
    Ok(assignments)
}

fn tokens(expression: &str) -> Vec<String> {
    let mut spaced = String::new();
    for character in expression.chars() {
        if "(),=".contains(character) {
            spaced.extend([' ', character, ' ']);
        } else {
            spaced.push(character);
        }
    }
    let mut tokens: Vec<String> = spaced.split_whitespace().map(str::to_owned).collect();
    tokens.reverse();
    tokens
}

/// The tokens that are left, the next one last.
struct Parser<'a> {
    tokens: Vec<String>,
    values: &'a Value,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<String> {
        self.tokens.pop()
    }

    fn next_is(&mut self, token: &str) -> bool {
        let is = self.tokens.last().is_some_and(|next| next == token);
        if is {
            self.tokens.pop();
        }
        is
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.next_is(token) {
            Ok(())
        } else {
            Err(format!("no '{token}' before {:?}", self.tokens.last()))
        }
    }

    /// Returns the text of the value that the next token names.
    fn value(&mut self) -> Result<String, String> {
        let name = self.next().unwrap_or_default();
        scalar(&self.values[&name]).ok_or_else(|| format!("the value {name}"))
    }

    fn conjunction(&mut self) -> Result<Vec<Term>, String> {
        let mut terms = self.disjunction()?;
        while self.next_is("AND") {
            terms.extend(self.disjunction()?);
        }
        Ok(terms)
    }

    /// Reads a term. The disjunctions of the protocol are that an attribute does not have a value, or none that is as great.
    fn disjunction(&mut self) -> Result<Vec<Term>, String> {
        let first = self.operand()?;
        if !self.next_is("OR") {
            return Ok(first);
        }
        let second = self.operand()?;
        match (first.as_slice(), second.as_slice()) {
            ([Term::Missing(name)], [Term::Differs(other, value)]) if name == other => {
                Ok(vec![Term::Differs(name.clone(), value.clone())])
            }
            ([Term::Missing(name)], [Term::Below(other, value)]) if name == other => {
                Ok(vec![Term::MissingOrBelow(name.clone(), value.clone())])
            }
            _ => Err(format!("{first:?} OR {second:?}")),
        }
    }

    fn operand(&mut self) -> Result<Vec<Term>, String> {
        if self.next_is("(") {
            let terms = self.conjunction()?;
            self.expect(")")?;
            return Ok(terms);
        }
        let name = self.next().unwrap_or_default();
        if name == "attribute_exists" || name == "attribute_not_exists" {
            self.expect("(")?;
            let attribute = self.next().unwrap_or_default();
            self.expect(")")?;
            let term = if name == "attribute_exists" { Term::Exists } else { Term::Missing };
            return Ok(vec![term(attribute)]);
        }
        if self.next_is("<>") {
            return Ok(vec![Term::Differs(name, self.value()?)]);
        }
        if self.next_is("<") {
            return Ok(vec![Term::Below(name, self.value()?)]);
        }
        self.expect("=")?;
        Ok(vec![Term::Equals(name, self.value()?)])
    }
}

/// Returns an attribute value as text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    let (_, value) = value.as_object()?.iter().next()?;
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_become_sorted_terms() {
        let values = json!({ ":change": { "S": "c" }, ":n": { "N": "3" } });
        let terms = |expression| condition(expression, &values).expect("a condition");
        let text = str::to_owned;
        assert_eq!(
            terms("(version = :change AND attribute_not_exists(reservation)) AND joins = :n"),
            [
                Term::Missing(text("reservation")),
                Term::Equals(text("joins"), text("3")),
                Term::Equals(text("version"), text("c")),
            ]
        );
        assert_eq!(
            terms("(attribute_not_exists(intent) OR intent <> :change) AND attribute_exists(pk)"),
            [Term::Exists(text("pk")), Term::Differs(text("intent"), text("c"))]
        );
        assert_eq!(
            terms("a < :n AND (attribute_not_exists(b) OR b < :change)"),
            [Term::Below(text("a"), text("3")), Term::MissingOrBelow(text("b"), text("c"))]
        );
        for unknown in ["a = :n OR b = :n", "size(a) = :n", "a = :absent", "a = :n b"] {
            assert!(condition(unknown, &values).is_err(), "{unknown}");
        }
    }

    #[test]
    fn updates_become_assignments() {
        let values = json!({ ":c": { "S": "c" }, ":one": { "N": "1" } });
        let text = str::to_owned;
        assert_eq!(
            update("SET finished = :c, until = :one REMOVE intent ADD joins :one", &values),
            Ok(vec![
                Assignment::Set(text("finished"), text("c")),
                Assignment::Set(text("until"), text("1")),
                Assignment::Remove(text("intent")),
                Assignment::Add(text("joins"), text("1")),
            ])
        );
        assert!(update("SET a = if_not_exists(a, :c)", &values).is_err());
    }
}
