//! Users as rows of a table: the columns, and the body of a POST that a row stands for.

use scim::schema::ENTERPRISE_USER_URN;
use serde_json::{Map, Value, json};

/// The place of a column in a user.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Top,
    Name,
    Enterprise,
    /// The e-mail address.
    Email,
    /// A telephone number of this type.
    Phone(&'static str),
}

/// The columns. A column whose name begins with `urn:` is an attribute of an extension, by its whole name.
const COLUMNS: [(&str, Place); 22] = [
    ("userName", Place::Top),
    ("givenName", Place::Name),
    ("familyName", Place::Name),
    ("middleName", Place::Name),
    ("displayName", Place::Top),
    ("nickName", Place::Top),
    ("email", Place::Email),
    ("externalId", Place::Top),
    ("active", Place::Top),
    ("title", Place::Top),
    ("userType", Place::Top),
    ("preferredLanguage", Place::Top),
    ("locale", Place::Top),
    ("timezone", Place::Top),
    ("phone", Place::Phone("work")),
    ("mobile", Place::Phone("mobile")),
    ("employeeNumber", Place::Enterprise),
    ("department", Place::Enterprise),
    ("division", Place::Enterprise),
    ("organization", Place::Enterprise),
    ("costCenter", Place::Enterprise),
    ("manager", Place::Enterprise),
];

/// The header of a table.
pub(crate) struct Header(Vec<Column>);

/// A column: one of the list, or an attribute of an extension.
enum Column {
    Known(&'static str, Place),
    Extension(String),
}

impl Header {
    /// Reads the names of the columns. The error is a sentence for the operator.
    pub(crate) fn parse<'a>(names: impl Iterator<Item = &'a [u8]>) -> Result<Self, String> {
        let mut columns: Vec<Column> = Vec::new();
        for (index, name) in names.enumerate() {
            let number = index + 1;
            let text =
                std::str::from_utf8(name).map_err(|_| format!("column {number} is not UTF-8."))?.trim();
            let column = column(text).ok_or_else(|| {
                let known: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
                format!(
                    "column {number} is unknown. Columns are separated by commas, and are {}, or the URN of an attribute \
                     of an extension.",
                    known.join(", ")
                )
            })?;
            if columns.iter().any(|other| other.name() == column.name()) {
                return Err(format!("column {number} repeats {}.", column.name()));
            }
            columns.push(column);
        }
        if columns.iter().any(|column| column.name() == "userName") {
            Ok(Self(columns))
        } else {
            Err("there is no column userName.".to_owned())
        }
    }

    /// Returns the body that a row stands for. Empty cells are left out. The error is a sentence for the operator.
    pub(crate) fn body<'a>(&self, cells: impl ExactSizeIterator<Item = &'a [u8]>) -> Result<Value, String> {
        if cells.len() != self.0.len() {
            return Err(format!(
                "The line has {} columns, and the header has {}.",
                cells.len(),
                self.0.len()
            ));
        }
        let mut body = Map::new();
        for (column, cell) in self.0.iter().zip(cells) {
            let text = std::str::from_utf8(cell)
                .map_err(|_| format!("The column {} is not UTF-8.", column.name()))?
                .trim();
            if text.is_empty() {
                continue;
            }
            match column {
                Column::Known(name, place) => place.put(&mut body, name, text.into()),
                Column::Extension(urn) => {
                    body.insert(urn.clone(), text.into());
                }
            }
        }
        Ok(body.into())
    }
}

/// Moves the members of a user that have the names of columns to their places. Other members stay.
pub(crate) fn placed(user: Map<String, Value>) -> Value {
    let mut body = Map::new();
    let (columns, others): (Vec<_>, Vec<_>) = user
        .into_iter()
        .partition(|(name, _)| COLUMNS.iter().any(|(column, place)| column == name && *place != Place::Top));
    body.extend(others);
    for (name, value) in columns {
        if let Some((name, place)) = COLUMNS.iter().find(|(column, _)| *column == name) {
            place.put(&mut body, name, value);
        }
    }
    body.into()
}

fn column(name: &str) -> Option<Column> {
    if let Some((known, place)) = COLUMNS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Some(Column::Known(known, *place));
    }
    let is_urn = name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:"));
    is_urn.then(|| Column::Extension(name.to_owned()))
}

impl Column {
    fn name(&self) -> &str {
        match self {
            Self::Known(name, _) => name,
            Self::Extension(name) => name,
        }
    }
}

impl Place {
    fn put(self, body: &mut Map<String, Value>, name: &str, value: Value) {
        let mut into = |outer: &str| {
            let object = body.entry(outer).or_insert_with(|| json!({}));
            if let Value::Object(object) = object {
                object.insert(name.to_owned(), value.clone());
            }
        };
        match self {
            Self::Top => {
                body.insert(name.to_owned(), value);
            }
            Self::Name => into("name"),
            Self::Enterprise => into(ENTERPRISE_USER_URN),
            Self::Email => append(body, "emails", json!({ "value": value, "type": "work", "primary": true })),
            Self::Phone(phone) => append(body, "phoneNumbers", json!({ "value": value, "type": phone })),
        }
    }
}

fn append(body: &mut Map<String, Value>, list: &str, element: Value) {
    if let Value::Array(elements) = body.entry(list).or_insert_with(|| json!([])) {
        elements.push(element);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &str) -> Result<Header, String> {
        Header::parse(names.split(',').map(str::as_bytes))
    }

    fn body(names: &str, cells: &str) -> Result<Value, String> {
        header(names)?.body(cells.split(',').map(str::as_bytes).collect::<Vec<_>>().into_iter())
    }

    #[test]
    fn columns_are_placed_in_the_user() {
        let columns =
            "USERNAME,givenName,familyName,email,mobile,department,manager,urn:x:1.0:User:badge,title";
        assert_eq!(
            body(columns, "ada,Ada,Lovelace,ada@x.example,+44 1,Maths,7,b,"),
            Ok(json!({
                "userName": "ada",
                "name": { "givenName": "Ada", "familyName": "Lovelace" },
                "emails": [{ "value": "ada@x.example", "type": "work", "primary": true }],
                "phoneNumbers": [{ "value": "+44 1", "type": "mobile" }],
                ENTERPRISE_USER_URN: { "department": "Maths", "manager": "7" },
                "urn:x:1.0:User:badge": "b",
            }))
        );
    }

    #[test]
    fn members_with_names_of_columns_are_placed() {
        let user = json!({ "userName": "ada", "givenName": "Ada", "name": { "familyName": "L" }, "x": 1 });
        let Value::Object(user) = user else { return };
        assert_eq!(
            placed(user),
            json!({ "userName": "ada", "name": { "familyName": "L", "givenName": "Ada" }, "x": 1 })
        );
    }

    #[test]
    fn wrong_header_is_refused() {
        for (names, expected) in [
            ("userName;email", "column 1 is unknown."),
            ("userName,mail", "column 2 is unknown."),
            ("userName,title,Title", "column 3 repeats title."),
            ("email", "there is no column userName."),
            ("", "column 1 is unknown."),
        ] {
            let error = header(names).err().unwrap_or_default();
            assert!(error.starts_with(expected), "{names}: {error}");
        }
        let error = header("userName,title").map(|header| header.body([b"a".as_slice()].into_iter()));
        assert_eq!(error, Ok(Err("The line has 1 columns, and the header has 2.".to_owned())));
    }
}
