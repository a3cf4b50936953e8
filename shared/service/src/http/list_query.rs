//! The query of a list: filter, order, projection and page, read once from a query string or a SearchRequest
//! (RFC 7644 §3.4.2, §3.4.3).

use axum::{
    extract::{FromRequest, Request},
    http::Method,
};
use scim::{
    Invalid, ResourceKind, ResourceType, ScimType,
    projection::Projection,
    schema::RESOURCE_TYPES,
    sort::Sort,
    syntax::{Filter, Literal, Operator},
};
use sha2::{Digest, Sha256};

use super::{parameters::Parameters, request::Json};
use crate::{
    App, Error,
    limits::{DEFAULT_COUNT, MAX_COUNT, USER_BODY},
    store::{ListRequest, Query},
};

/// The longest filter that the request log reads a name from, in bytes.
const MAX_NAMED: usize = 512;

/// The page that a client requests.
pub(super) enum Paging {
    /// A page by index (RFC 7644 §3.4.2.4).
    Index { start_index: u64, count: usize },
    /// A page by cursor (RFC 9865). The first page has no cursor.
    Cursor { cursor: Option<String>, count: usize },
}

/// A query for one page of a list. The extractor reads the query string of a `GET` and the SearchRequest of a `POST`.
pub(super) struct ListQuery {
    pub(super) paging: Paging,
    filter: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    attributes: Option<String>,
    excluded_attributes: Option<String>,
}

impl FromRequest<App> for ListQuery {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        let parameters = if request.method() == Method::POST {
            let Json(body) = Json::<USER_BODY>::from_request(request, app).await?;
            Parameters::from_search_request(&body)?
        } else {
            Parameters::from_query(request.uri().query().unwrap_or_default())?
        };
        Ok(Self::read(&parameters)?)
    }
}

impl ListQuery {
    fn read(parameters: &Parameters) -> Result<Self, Invalid> {
        let text = |name| Ok(parameters.one(name)?.map(str::to_owned));
        Ok(Self {
            paging: Paging::read(parameters)?,
            filter: text("filter")?,
            sort_by: text("sortBy")?,
            sort_order: text("sortOrder")?,
            attributes: parameters.attribute_names("attributes"),
            excluded_attributes: parameters.attribute_names("excludedAttributes"),
        })
    }

    /// Returns whether the query has a filter.
    pub(super) fn is_filtered(&self) -> bool {
        self.filter.is_some()
    }

    /// Returns the name by which the query selects one resource of the kind: `userName eq "ada"`.
    pub(super) fn name_of(&self, kind: ResourceKind) -> Option<String> {
        let unique = match kind {
            ResourceKind::User => "userName",
            ResourceKind::Group => "displayName",
        };
        let text = self.filter.as_deref().filter(|text| text.len() <= MAX_NAMED)?;
        match Filter::parse(text).ok()? {
            Filter::Compare { name, operator: Operator::Eq, literal: Literal::String(text), .. }
                if name.attribute.eq_ignore_ascii_case(unique) && name.sub.is_none() =>
            {
                Some(text)
            }
            _ => None,
        }
    }

    /// Resolves the query against the schemas of these kinds. `base` is the base URL of the answer.
    ///
    /// # Errors
    /// `invalidFilter` and `invalidValue` if a parameter cannot be parsed or names an unknown attribute.
    pub(super) fn resolve<'a>(&self, kinds: &[ResourceKind], base: &'a str) -> Result<Query<'a>, Invalid> {
        let filter = self.filter.as_deref().map(Filter::parse).transpose()?;
        // Among several kinds, an attribute may belong to another kind than the one it is resolved for.
        let others: &'static [&'static ResourceType] = if kinds.len() == 1 { &[] } else { &RESOURCE_TYPES };
        let request = |kind: ResourceKind| {
            let resource_type = kind.resource_type();
            let filter = filter.as_ref().map(|filter| filter.resolve_among(resource_type, others));
            let (sort_by, sort_order) = (self.sort_by.as_deref(), self.sort_order.as_deref());
            let (attributes, excluded) = (self.attributes.as_deref(), self.excluded_attributes.as_deref());
            Ok(ListRequest {
                kind,
                filter: filter.transpose()?,
                sort: Sort::parse(resource_type, others, sort_by, sort_order)?,
                projection: Projection::parse(resource_type, attributes, excluded)?,
                base,
            })
        };
        let requests = kinds.iter().copied().map(request).collect::<Result<_, Invalid>>()?;
        Ok(Query { name: self.name(kinds), requests })
    }

    /// Returns a digest of everything that decides the order and the selection. It is the same for each page of the
    /// query.
    fn name(&self, kinds: &[ResourceKind]) -> String {
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
        let kinds = Some(kinds.join(","));
        let mut hash = Sha256::new();
        for part in [&kinds, &self.filter, &self.sort_by, &self.sort_order] {
            let part = part.as_deref().unwrap_or_default();
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        hex::encode(&hash.finalize()[..16])
    }
}

impl Paging {
    /// Reads `cursor`, `startIndex` and `count`. A `cursor` without a value requests the first page by cursor (RFC 9865
    /// §2).
    fn read(parameters: &Parameters) -> Result<Self, Invalid> {
        let Some(cursor) = parameters.one("cursor")? else {
            return Ok(Self::Index { start_index: start_index(parameters)?, count: count(parameters)? });
        };
        if parameters.one("startIndex")?.is_some() {
            return Err(Invalid::value(
                "The parameters 'cursor' and 'startIndex' cannot be combined. Send one of them.",
            ));
        }
        let invalid = || {
            Invalid::new(
                ScimType::InvalidCount,
                "The value of 'count' is not valid for a page by cursor. Send a whole number above 0.",
            )
        };
        match count(parameters) {
            Ok(0) | Err(_) => Err(invalid()),
            Ok(count) => Ok(Self::Cursor {
                cursor: Some(cursor.to_owned()).filter(|cursor| !cursor.is_empty()),
                count,
            }),
        }
    }
}

/// Reads `startIndex`. A value below 1 counts as 1 (RFC 7644 §3.4.2.4).
fn start_index(parameters: &Parameters) -> Result<u64, Invalid> {
    let number = parameters.whole_number("startIndex")?;
    Ok(number.map_or(1, |number| u64::try_from(number).unwrap_or(1).max(1)))
}

/// Reads `count`. A value below 0 counts as 0 (RFC 7644 §3.4.2.4), a value above the limit as the limit.
fn count(parameters: &Parameters) -> Result<usize, Invalid> {
    let number = parameters.whole_number("count")?;
    Ok(number.map_or(DEFAULT_COUNT, |number| usize::try_from(number).unwrap_or(0)).min(MAX_COUNT))
}
