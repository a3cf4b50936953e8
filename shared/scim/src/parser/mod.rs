//! The parser of filters and PATCH paths (RFC 7644 figures 1 and 7).
//!
//! The tokenizer reads each character once. A recursive-descent parser then builds a [`Filter`] or a [`Path`] without
//! going back. [`MAX_LENGTH`] bounds the text, [`MAX_DEPTH`] the recursion, and [`MAX_NODES`] the tree. Errors give a
//! position and what was expected there. Errors quote no values, because values may be personal data.

use crate::dialect::filter::takes_bare_word;
use crate::dialect::values::parse_boolean;
use crate::error::{Invalid, ScimType};
use crate::syntax::{Filter, Literal, Name, Operator, Path, at, is_attribute_name};

/// The maximum length of a filter or path, in characters.
pub const MAX_LENGTH: usize = 4096;
/// The maximum depth of parentheses, `not (…)` and brackets.
pub const MAX_DEPTH: usize = 32;
/// The maximum number of nodes of a filter: comparisons, and the `and`, `or`, `not` and brackets that join them.
pub const MAX_NODES: usize = 200;

impl Filter {
    /// Parses a filter.
    ///
    /// # Errors
    /// `invalidFilter`, with the position and what was expected there.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Parser::new("filter", text)?.filter_to_end()
    }
}

impl Path {
    /// Parses a path.
    ///
    /// # Errors
    /// `invalidPath` for any text that does not follow figure 7, with the position and what was expected there.
    /// Errors in the filter between the brackets are `invalidPath` too.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::read(text).map_err(|invalid| Invalid { scim_type: ScimType::InvalidPath, ..invalid })
    }

    fn read(text: &str) -> Result<Self, Invalid> {
        let mut parser = Parser::new("path", text)?;
        let name = parser.name()?;
        let mut path = Self { name, filter: None, sub: None };
        if parser.take(&Token::OpenBracket) {
            if path.name.sub.is_some() {
                return Err(Invalid::path(format!(
                    "The path cannot be parsed. Put the brackets after '{}', not after '{}'.",
                    path.name.attribute, path.name
                )));
            }
            path.filter = Some(parser.bracketed(1)?);
            path.sub = parser.sub()?;
        }
        parser.end()?;
        Ok(path)
    }
}

/// A token of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A name, an operator, a number, or another text without blanks, brackets and quotes.
    Word(String),
    /// A decoded JSON string.
    String(String),
    Open,
    Close,
    OpenBracket,
    CloseBracket,
}

/// A recursive-descent parser of the tokens of a filter or path.
struct Parser {
    /// The name of the text in errors: "filter" or "path".
    what: &'static str,
    /// The tokens, each with its position in characters from 0.
    tokens: Vec<(Token, usize)>,
    next: usize,
    /// The length of the text in characters.
    length: usize,
    nodes: usize,
}

impl Parser {
    fn new(what: &'static str, text: &str) -> Result<Self, Invalid> {
        let chars: Vec<char> = text.chars().take(MAX_LENGTH + 1).collect();
        if chars.len() > MAX_LENGTH {
            return Err(Invalid::filter(format!(
                "The {what} is longer than {MAX_LENGTH} characters. Split it into several requests."
            )));
        }
        Ok(Self { what, tokens: tokenize(what, &chars)?, next: 0, length: chars.len(), nodes: 0 })
    }

    /// Parses a filter that takes up the whole text.
    fn filter_to_end(mut self) -> Result<Filter, Invalid> {
        let filter = self.filter(0)?;
        self.end()?;
        Ok(filter)
    }

    /// Parses `FILTER` of figure 1. `and` binds closer than `or`.
    fn filter(&mut self, depth: usize) -> Result<Filter, Invalid> {
        let mut filters = vec![self.conjunction(depth)?];
        while self.take_keyword("or") {
            filters.push(self.conjunction(depth)?);
        }
        self.join(filters, Filter::Or)
    }

    fn conjunction(&mut self, depth: usize) -> Result<Filter, Invalid> {
        let mut filters = vec![self.term(depth)?];
        while self.take_keyword("and") {
            filters.push(self.term(depth)?);
        }
        self.join(filters, Filter::And)
    }

    fn join(&mut self, filters: Vec<Filter>, join: fn(Vec<Filter>) -> Filter) -> Result<Filter, Invalid> {
        match <[Filter; 1]>::try_from(filters) {
            Ok([only]) => Ok(only),
            Err(filters) => self.count().map(|()| join(filters)),
        }
    }

    fn term(&mut self, depth: usize) -> Result<Filter, Invalid> {
        if self.take_keyword("not") {
            self.count()?;
            self.expect(&Token::Open, "'(' after 'not'")?;
            return Ok(Filter::Not(Box::new(self.grouped(depth + 1)?)));
        }
        if self.take(&Token::Open) {
            return self.grouped(depth + 1);
        }
        let name = self.name()?;
        if !self.take(&Token::OpenBracket) {
            return self.comparison(name);
        }
        self.count()?;
        let filter = self.bracketed(depth + 1)?;
        let position = self.position();
        match self.sub()? {
            None => Ok(Filter::ValuePath { name, filter: Box::new(filter) }),
            Some(sub) => {
                let sub = Name { urn: None, attribute: sub, sub: None, position };
                Ok(condition_of_element(name, filter, self.comparison(sub)?))
            }
        }
    }

    /// Parses a filter and the parenthesis that closes it.
    fn grouped(&mut self, depth: usize) -> Result<Filter, Invalid> {
        self.nest(depth, &Token::Close, "'and', 'or' or ')'")
    }

    /// Parses a filter and the bracket that closes it.
    fn bracketed(&mut self, depth: usize) -> Result<Filter, Invalid> {
        self.nest(depth, &Token::CloseBracket, "'and', 'or' or ']'")
    }

    fn nest(&mut self, depth: usize, close: &Token, expected: &str) -> Result<Filter, Invalid> {
        if depth > MAX_DEPTH {
            return Err(Invalid::filter(format!(
                "The {} nests parentheses and brackets more than {MAX_DEPTH} deep. Reduce the nesting.",
                self.what
            )));
        }
        let filter = self.filter(depth)?;
        self.expect(close, expected)?;
        Ok(filter)
    }

    /// Parses the rest of `attribute pr` or `attribute operator value`.
    fn comparison(&mut self, name: Name) -> Result<Filter, Invalid> {
        self.count()?;
        if self.take_keyword("pr") {
            return Ok(Filter::Present(name));
        }
        let operator = match self.peek() {
            Some(Token::Word(word)) => word.parse::<Operator>().ok(),
            _ => None,
        };
        let operator = operator
            .ok_or_else(|| self.expected("an operator (eq, ne, co, sw, ew, gt, ge, lt, le or pr)"))?;
        self.next += 1;
        let position = self.position();
        let is_whole_filter = self.what == "filter" && self.tokens.len() == 3;
        let literal = match self.peek() {
            Some(Token::String(text)) => Some(Literal::String(text.clone())),
            Some(Token::Word(word)) if is_whole_filter && takes_bare_word(&name, operator, word) => {
                Some(Literal::String(word.clone()))
            }
            Some(Token::Word(word)) => literal_from_word(word),
            _ => None,
        };
        let literal = literal.ok_or_else(|| {
            self.expected("a value (a number, true, false, null, or a text in double quotes)")
        })?;
        self.next += 1;
        Ok(Filter::Compare { name, operator, literal, position })
    }

    fn name(&mut self) -> Result<Name, Invalid> {
        let position = self.position();
        let name = match self.peek() {
            Some(Token::Word(word)) => Name::parse(word, position),
            _ => None,
        };
        let name = name.ok_or_else(|| self.expected("the name of an attribute"))?;
        self.next += 1;
        Ok(name)
    }

    /// Parses `.sub` after a bracket, if it is there.
    fn sub(&mut self) -> Result<Option<String>, Invalid> {
        let Some(Token::Word(word)) = self.peek() else { return Ok(None) };
        let Some(sub) = word.strip_prefix('.') else { return Ok(None) };
        if !is_attribute_name(sub) {
            return Err(self.expected("the name of a sub-attribute after the dot"));
        }
        let sub = sub.to_owned();
        self.next += 1;
        Ok(Some(sub))
    }

    fn end(&self) -> Result<(), Invalid> {
        match self.peek() {
            None => Ok(()),
            Some(_) if self.what == "path" => Err(self.expected("the end of the path")),
            Some(_) => Err(self.expected("'and', 'or' or the end of the filter")),
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    /// Returns the position of the next token.
    fn position(&self) -> usize {
        self.tokens.get(self.next).map_or(self.length, |(_, position)| *position)
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword));
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, token: &Token, expected: &str) -> Result<(), Invalid> {
        if self.take(token) { Ok(()) } else { Err(self.expected(expected)) }
    }

    fn expected(&self, what: &str) -> Invalid {
        let position = at(self.position());
        Invalid::filter(match self.peek() {
            Some(_) => format!("The {} cannot be parsed {position}. Expected {what}.", self.what),
            None => format!("The {} ends too early {position}. Expected {what}.", self.what),
        })
    }

    fn count(&mut self) -> Result<(), Invalid> {
        self.nodes += 1;
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        Err(Invalid::filter(format!(
            "The {} has more than {MAX_NODES} nodes (comparisons, and, or, not). Split it into several requests.",
            self.what
        )))
    }
}

/// Moves a comparison after brackets into the brackets.
///
/// Microsoft Entra sends `emails[type eq "work"].value eq "x"` if the matching attribute has a filter. Figure 1 does
/// not allow this form. It means `emails[type eq "work" and value eq "x"]`. `ne` becomes `not (… eq …)`, because `ne`
/// matches absent values.
fn condition_of_element(name: Name, filter: Filter, condition: Filter) -> Filter {
    let (condition, negated) = match condition {
        Filter::Compare { name, operator: Operator::Eq, literal: Literal::Null, .. } => {
            (Filter::Present(name), true)
        }
        Filter::Compare { name, operator: Operator::Ne, literal: Literal::Null, .. } => {
            (Filter::Present(name), false)
        }
        Filter::Compare { name, operator: Operator::Ne, literal, position } => {
            (Filter::Compare { name, operator: Operator::Eq, literal, position }, true)
        }
        condition => (condition, false),
    };
    let conditions = match filter {
        Filter::And(mut conditions) => {
            conditions.push(condition);
            conditions
        }
        filter => vec![filter, condition],
    };
    let element = Filter::ValuePath { name, filter: Box::new(Filter::And(conditions)) };
    if negated { Filter::Not(Box::new(element)) } else { element }
}

fn tokenize(what: &str, chars: &[char]) -> Result<Vec<(Token, usize)>, Invalid> {
    let mut tokens = Vec::new();
    let mut next = 0;
    while let Some(first) = chars.get(next) {
        let start = next;
        next += 1;
        let token = match first {
            blank if blank.is_ascii_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            '[' => Token::OpenBracket,
            ']' => Token::CloseBracket,
            '"' => {
                next = end_of_string(chars, next).ok_or_else(|| {
                    Invalid::filter(format!(
                        "The {what} has an unterminated string {}. Close it with '\"'.",
                        at(start)
                    ))
                })?;
                let json: String = chars[start..next].iter().collect();
                Token::String(serde_json::from_str(&json).map_err(|_| {
                    Invalid::filter(format!(
                        "The {what} has an invalid string {}. Check its escapes (\\\\, \\\", \\u0041).",
                        at(start)
                    ))
                })?)
            }
            _ => {
                next += chars[next..].iter().take_while(|c| !ends_word(**c)).count();
                Token::Word(chars[start..next].iter().collect())
            }
        };
        tokens.push((token, start));
    }
    Ok(tokens)
}

/// Returns the position after the quote that closes a string. A backslash escapes the next character.
fn end_of_string(chars: &[char], mut next: usize) -> Option<usize> {
    loop {
        match chars.get(next)? {
            '"' => return Some(next + 1),
            '\\' => next += 2,
            _ => next += 1,
        }
    }
}

fn ends_word(c: char) -> bool {
    c.is_ascii_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '"')
}

/// Reads a number, `true`, `false` or `null`. Returns `None` for any other word.
fn literal_from_word(word: &str) -> Option<Literal> {
    if word.eq_ignore_ascii_case("null") {
        return Some(Literal::Null);
    }
    parse_boolean(word).map(Literal::Boolean).or_else(|| serde_json::from_str(word).ok().map(Literal::Number))
}

#[cfg(test)]
pub(crate) mod tests;
