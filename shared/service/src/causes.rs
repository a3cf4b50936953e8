//! The causes of errors that the owner of an organisation can see in the request log.
//!
//! A cause says what to change on the side of the identity provider. It follows from the literal parts of the detail, so no
//! error carries a code for it. A test compares the table with the texts of all errors.

/// The cause of a failed request. The documentation of each states the advice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Another user or group has the name. Rename or delete one of them, or let the identity provider match the existing one.
    NameTaken,
    /// A member of the group is not provisioned. Assign the person to the application before the group, then repeat.
    MemberUnknown,
    /// The user or group does not exist any more. Let the identity provider look it up again: restart provisioning in Entra,
    /// or push the group again in Okta.
    ResourceUnknown,
    /// The path is not one of SCIM. Correct the base URL: it ends in `/scim/v2`.
    EndpointUnknown,
    /// The endpoint does not support the method or the request. Turn off the feature of the identity provider that sends it.
    NotSupported,
    /// The resource changed in between. The identity provider repeats the request, so nothing is to be done.
    VersionConflict,
    /// The body of the request is too large. Send fewer members or operations in a request.
    RequestTooLarge,
    /// The body did not arrive as a whole. The identity provider repeats the request. If this continues, check its network.
    RequestIncomplete,
    /// A bulk request is malformed. Correct the client that sends it, or turn off bulk requests.
    BulkMalformed,
    /// The operations of a bulk request refer to each other in a way that is not possible. Send the resources first.
    BulkReference,
    /// The media type or the encoding is not supported. Send `application/scim+json`.
    MediaType,
    /// The service is under load. The identity provider repeats the request. If this continues, ask the operator.
    ServiceBusy,
    /// The organisation sends too many requests. Spread imports over time, or ask the operator for higher limits.
    Limited,
    /// The service had a fault for a moment. The identity provider repeats the request. If this continues, ask the operator.
    Unavailable,
    /// The service has a defect. Ask the operator, with the time and the id of the request.
    Internal,
    /// The Authorization header is absent or malformed. Enter the key again as a bearer token, without the word Bearer.
    KeyMalformed,
    /// The key is unknown or revoked. Create a new key and enter it at the identity provider.
    KeyInvalid,
    /// The key has expired. Create or rotate a key, and enter the new one at the identity provider.
    KeyExpired,
    /// The access token has expired. The identity provider requests a new one. If this continues, check its token URL.
    TokenExpired,
    /// SCIM is turned off. Turn it on in the settings of the connection.
    ScimDisabled,
    /// The key lacks a scope. Create a key with the scope SCIM, and enter it at the identity provider.
    ScopeMissing,
    /// The client or its secret is not known. Enter the client id and the client secret again.
    ClientUnknown,
    /// The client secret has ended. Add a secret, and enter it at the identity provider.
    SecretEnded,
    /// The client authenticates in another way. Choose the same way at the identity provider as for the client here.
    OtherProof,
    /// The token of the identity provider is not accepted. Compare issuer, audience and subject with the values registered
    /// here.
    AssertionRefused,
    /// The keys of the identity provider cannot be read. Check the issuer that is registered here.
    IssuerUnreachable,
    /// The token request is malformed. Check the token URL and the type of authentication at the identity provider.
    TokenRequestMalformed,
    /// The requested scope is not one of the client. Leave the scope out, or give the client the scope.
    TokenScope,
    /// A filter or a path cannot be parsed. Correct the matching attributes or the expression in the attribute mapping.
    FilterMalformed,
    /// An attribute cannot be used in a filter. Choose another matching attribute, such as `userName` or `externalId`.
    FilterUnsupported,
    /// An attribute does not exist. Correct its name in the attribute mapping, or remove the mapping.
    UnknownAttribute,
    /// A filter in a path selects no value. Map the attribute with a type, such as `emails[type eq "work"].value`.
    NoTarget,
    /// A required value is missing. Map the attribute to a source that everyone in scope has.
    ValueMissing,
    /// A value has the wrong type. Correct the expression in the attribute mapping.
    WrongType,
    /// A value is too long. Shorten it at the source.
    ValueTooLong,
    /// An attribute or a resource has too many values, or is too large. Map fewer values.
    TooManyValues,
    /// A value has a character that is not permitted. Remove the character at the source.
    ForbiddenCharacter,
    /// Several values are primary. Mark at most one value of the attribute as primary.
    SeveralPrimary,
    /// The attribute cannot be changed. Remove it from the attribute mapping.
    ReadOnly,
    /// An attribute is sent twice with different values. Remove one of the mappings.
    NameTwice,
    /// The PATCH request is malformed. For Entra, add `?aadOptscim062020` to the tenant URL.
    PatchMalformed,
    /// The request has too many operations. Send several requests.
    TooManyOperations,
    /// The body is not the JSON that SCIM requires. Correct the client that sends it.
    BodyMalformed,
    /// A parameter of the URL is not valid. Correct the base URL or the client that sends it.
    ParameterInvalid,
    /// The position in a list is not valid any more. Begin the import again.
    CursorInvalid,
    /// The answer would be too large. Import smaller pages, or groups without their members.
    AnswerTooLarge,
    /// The search would read too many resources. Choose an indexed matching attribute, such as `userName`.
    SearchTooLarge,
    /// The group has too many members to show. Import groups without their members.
    GroupTooLarge,
    /// No more is known than the status and the detail.
    Unknown,
}

/// A literal part of the detail of an error, and its cause. The first row whose part occurs decides.
pub const TABLE: &[(&str, Cause)] = &[
    ("already has this", Cause::NameTaken),
    ("so it cannot be added to 'members'", Cause::MemberUnknown),
    ("is not an id of this service. Assign", Cause::MemberUnknown),
    ("with this id. Search for it", Cause::ResourceUnknown),
    ("has changed since the version in If-Match", Cause::VersionConflict),
    ("The API key is not valid", Cause::KeyInvalid),
    ("This API key expired", Cause::KeyExpired),
    ("This access token expired", Cause::TokenExpired),
    ("SCIM is disabled for the organisation", Cause::ScimDisabled),
    ("does not have the scope", Cause::ScopeMissing),
    ("has no Authorization header", Cause::KeyMalformed),
    ("has more than one Authorization header", Cause::KeyMalformed),
    ("The Authorization header ", Cause::KeyMalformed),
    ("sends more requests than its limit", Cause::Limited),
    ("has too many expensive requests", Cause::Limited),
    ("The service receives too many requests", Cause::ServiceBusy),
    ("The service is temporarily unavailable", Cause::Unavailable),
    ("Internal error", Cause::Internal),
    ("The client is not authenticated", Cause::ClientUnknown),
    ("The client is unknown, or the client_secret is wrong", Cause::ClientUnknown),
    ("The client_secret ended at", Cause::SecretEnded),
    ("The client authenticates with", Cause::OtherProof),
    ("The keys of the issuer cannot be read", Cause::IssuerUnreachable),
    ("The client may request the scopes", Cause::TokenScope),
    ("The parameter client_", Cause::TokenRequestMalformed),
    ("The parameter grant_type", Cause::TokenRequestMalformed),
    ("The grant_type is not supported", Cause::TokenRequestMalformed),
    ("The client_assertion_type is not supported", Cause::TokenRequestMalformed),
    ("authenticates the client in several ways", Cause::TokenRequestMalformed),
    ("does not authenticate the client", Cause::TokenRequestMalformed),
    ("The Content-Type is not application/x-www-form-urlencoded", Cause::TokenRequestMalformed),
    ("Send the form without one", Cause::TokenRequestMalformed),
    ("The form is not valid UTF-8", Cause::TokenRequestMalformed),
    ("A parameter occurs more than once", Cause::TokenRequestMalformed),
    ("client_assertion", Cause::AssertionRefused),
    ("The Content-Type is not supported", Cause::MediaType),
    ("The Content-Encoding is not supported", Cause::MediaType),
    ("The request body exceeds the limit", Cause::RequestTooLarge),
    ("The bulk request has more than", Cause::RequestTooLarge),
    ("The request body was not complete in time", Cause::RequestIncomplete),
    ("The body is incomplete", Cause::RequestIncomplete),
    ("refers to a 'bulkId'", Cause::BulkReference),
    ("refer to each other in a circle", Cause::BulkReference),
    ("has the same 'bulkId'", Cause::BulkMalformed),
    ("The operation has no", Cause::BulkMalformed),
    ("The body must be a BulkRequest", Cause::BulkMalformed),
    ("The value of 'failOnErrors'", Cause::BulkMalformed),
    ("The value of 'method' must be", Cause::BulkMalformed),
    ("The value of 'path' or 'version'", Cause::BulkMalformed),
    ("must be a string of at most", Cause::BulkMalformed),
    ("' occurs more than once.", Cause::BulkMalformed),
    ("This endpoint does not exist", Cause::EndpointUnknown),
    ("This is the base URL of a SCIM 2.0 service", Cause::EndpointUnknown),
    ("No resource has this path", Cause::EndpointUnknown),
    ("This endpoint does not support", Cause::NotSupported),
    ("/Me is not supported", Cause::NotSupported),
    ("This resource type does not exist", Cause::NotSupported),
    ("This schema does not exist", Cause::NotSupported),
    ("The header ", Cause::ParameterInvalid),
    ("The parameter", Cause::ParameterInvalid),
    ("The query parameter '", Cause::ParameterInvalid),
    ("The value of the query parameter '", Cause::ParameterInvalid),
    ("The query string is not valid UTF-8", Cause::ParameterInvalid),
    ("The value of 'count' is not valid", Cause::ParameterInvalid),
    ("in the SearchRequest has the wrong type", Cause::ParameterInvalid),
    ("The response would be larger than", Cause::AnswerTooLarge),
    ("The resources of this page are larger than", Cause::AnswerTooLarge),
    ("The answer would show more than", Cause::GroupTooLarge),
    ("This query would read more than", Cause::SearchTooLarge),
    ("are not kept any more", Cause::CursorInvalid),
    ("This cursor has expired", Cause::CursorInvalid),
    ("This cursor is not valid", Cause::CursorInvalid),
    ("has no attribute '", Cause::UnknownAttribute),
    ("has no sub-attribute '", Cause::UnknownAttribute),
    ("has none of the attributes in the value", Cause::UnknownAttribute),
    ("content is in unknown sub-attributes", Cause::UnknownAttribute),
    ("has no sub-attributes. Write a comparison", Cause::FilterUnsupported),
    ("cannot be used in a filter", Cause::FilterUnsupported),
    ("Correct the filter", Cause::FilterUnsupported),
    ("(at position ", Cause::FilterUnsupported),
    ("cannot be parsed", Cause::FilterMalformed),
    (" ends too early ", Cause::FilterMalformed),
    ("nests parentheses and brackets", Cause::FilterMalformed),
    ("nodes (comparisons, and, or, not)", Cause::FilterMalformed),
    ("has an unterminated string", Cause::FilterMalformed),
    ("has an invalid string", Cause::FilterMalformed),
    ("characters. Split it into several requests", Cause::FilterMalformed),
    ("Write the path without brackets", Cause::FilterMalformed),
    ("comparisons. Send several requests", Cause::TooManyOperations),
    ("comparisons of members other than by id", Cause::TooManyOperations),
    ("operations. Send at most", Cause::TooManyOperations),
    ("attributes. Send several requests", Cause::TooManyOperations),
    ("has no value that matches the filter in the path", Cause::NoTarget),
    ("A value can only be created from a filter", Cause::NoTarget),
    ("is readOnly", Cause::ReadOnly),
    ("The sub-attributes of a member are immutable", Cause::ReadOnly),
    ("is required", Cause::ValueMissing),
    ("is too long. Use at most", Cause::ValueTooLong),
    (" values. Send ", Cause::TooManyValues),
    (" extensions. Send at most", Cause::TooManyValues),
    (" attributes. Send at most", Cause::TooManyValues),
    ("The resource is larger than", Cause::TooManyValues),
    ("Remove the character", Cause::ForbiddenCharacter),
    ("has more than one primary value", Cause::SeveralPrimary),
    ("refer to the same attribute", Cause::NameTwice),
    ("refers to an attribute that has another value", Cause::NameTwice),
    ("The \"op\" must be", Cause::PatchMalformed),
    ("The \"path\" must be", Cause::PatchMalformed),
    ("The \"Operations\" must be", Cause::PatchMalformed),
    ("The \"value\" is missing", Cause::PatchMalformed),
    ("An operation must be an object", Cause::PatchMalformed),
    ("An operation \"remove\" needs a \"path\"", Cause::PatchMalformed),
    ("The body must be a PatchOp message", Cause::PatchMalformed),
    ("The \"schemas\" ", Cause::BodyMalformed),
    ("The attribute 'ended'", Cause::BodyMalformed),
    ("The attribute 'seq'", Cause::BodyMalformed),
    ("Attribute 'schemas' must be", Cause::BodyMalformed),
    ("The body must be a JSON object", Cause::BodyMalformed),
    ("The body is not a JSON object", Cause::BodyMalformed),
    ("The request has no body", Cause::BodyMalformed),
    ("The request body is not", Cause::BodyMalformed),
    ("Send the number as a string", Cause::WrongType),
    (" must be ", Cause::WrongType),
];

/// Returns the cause of an error with this status, `scimType` and detail.
#[must_use]
pub fn cause(status: u16, scim_type: Option<&str>, detail: &str) -> Cause {
    let found = TABLE.iter().find(|(part, _)| detail.contains(part)).map(|(_, cause)| *cause);
    found.unwrap_or(match (status, scim_type) {
        // The detail of another release may have other words.
        (_, Some("uniqueness")) => Cause::NameTaken,
        (_, Some("invalidFilter" | "invalidPath")) => Cause::FilterMalformed,
        (_, Some("noTarget")) => Cause::NoTarget,
        (_, Some("mutability")) => Cause::ReadOnly,
        (401, _) => Cause::KeyInvalid,
        (404, _) => Cause::ResourceUnknown,
        (429, _) => Cause::Limited,
        (500, _) => Cause::Internal,
        (503, _) => Cause::Unavailable,
        _ => Cause::Unknown,
    })
}
