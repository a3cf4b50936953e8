//! The schema table: every attribute of User (RFC 7643 §4.1), Enterprise User (§4.3) and Group (§4.2) with its
//! characteristics (§7), as static data.
//!
//! Validation, PATCH, filters, projection and sorting read their rules from this table, and so do the `/Schemas` and
//! `/ResourceTypes` documents. No other place defines an attribute. Names are case-insensitive (§2.1).

/// Attribute data types (RFC 7643 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Text (§2.3.1).
    String,
    /// `true` or `false` (§2.3.2).
    Boolean,
    /// A real number (§2.3.3).
    Decimal,
    /// A whole number (§2.3.4).
    Integer,
    /// An `xsd:dateTime` with a time zone (§2.3.5).
    DateTime,
    /// Base64 (§2.3.6).
    Binary,
    /// A URI (§2.3.7). Clients send other texts too, so the form is not checked.
    Reference,
    /// An object of sub-attributes (§2.3.8).
    Complex,
    /// An attribute of an extension without a schema here: any JSON value, stored as sent. Microsoft Entra and Okta let
    /// administrators map such attributes.
    Any,
}

/// The right to write an attribute (RFC 7643 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutability {
    /// Only the service writes it.
    ReadOnly,
    /// The client may write it at any time.
    ReadWrite,
    /// The client may write it once.
    Immutable,
    /// The client may write it. It is never returned.
    WriteOnly,
}

/// When an attribute is returned (RFC 7643 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returned {
    /// Always.
    Always,
    /// Never.
    Never,
    /// Unless the client excludes it or asks for other attributes.
    Default,
    /// Only if the client asks for it by name.
    Request,
}

/// The scope within which a value is unique (RFC 7643 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uniqueness {
    /// The value need not be unique.
    None,
    /// Unique within the organisation.
    Server,
    /// Unique everywhere.
    Global,
}

/// One attribute and its characteristics (RFC 7643 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// The name, as the RFC spells it.
    pub name: &'static str,
    /// The description in `/Schemas`.
    pub description: &'static str,
    /// The data type.
    pub data_type: Type,
    /// Whether the attribute holds a list.
    pub multi_valued: bool,
    /// Whether a resource must have the attribute.
    pub required: bool,
    /// Whether comparison is case-sensitive. If not, values compare by [`crate::fold::fold`].
    pub case_exact: bool,
    /// The right to write the attribute.
    pub mutability: Mutability,
    /// When the attribute is returned.
    pub returned: Returned,
    /// The scope within which the value is unique.
    pub uniqueness: Uniqueness,
    /// Values that a client may expect. Other values are accepted too, as §7 allows.
    pub canonical_values: &'static [&'static str],
    /// The resource types that a reference may point to.
    pub reference_types: &'static [&'static str],
    /// The sub-attributes of a complex attribute.
    pub sub_attributes: &'static [Attribute],
}

impl Attribute {
    pub(crate) const fn new(name: &'static str, data_type: Type, description: &'static str) -> Self {
        Self {
            name,
            description,
            data_type,
            multi_valued: false,
            required: false,
            case_exact: false,
            mutability: Mutability::ReadWrite,
            returned: Returned::Default,
            uniqueness: Uniqueness::None,
            canonical_values: &[],
            reference_types: &[],
            sub_attributes: &[],
        }
    }

    pub(crate) const fn string(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Type::String, description)
    }

    pub(crate) const fn complex(
        name: &'static str,
        sub_attributes: &'static [Attribute],
        description: &'static str,
    ) -> Self {
        let mut attribute = Self::new(name, Type::Complex, description);
        attribute.sub_attributes = sub_attributes;
        attribute
    }

    /// Creates a reference. References are URIs, and URIs are caseExact (RFC 7643 §2.3.7).
    const fn reference(
        name: &'static str,
        reference_types: &'static [&'static str],
        description: &'static str,
    ) -> Self {
        Self::new(name, Type::Reference, description).case_exact().refers_to(reference_types)
    }

    pub(crate) const fn refers_to(mut self, types: &'static [&'static str]) -> Self {
        self.reference_types = types;
        self
    }

    pub(crate) const fn multi(mut self) -> Self {
        self.multi_valued = true;
        self
    }

    pub(crate) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(crate) const fn case_exact(mut self) -> Self {
        self.case_exact = true;
        self
    }

    pub(crate) const fn mutability(mut self, mutability: Mutability) -> Self {
        self.mutability = mutability;
        self
    }

    const fn returned(mut self, returned: Returned) -> Self {
        self.returned = returned;
        self
    }

    pub(crate) const fn unique(mut self) -> Self {
        self.uniqueness = Uniqueness::Server;
        self
    }

    pub(crate) const fn canonical(mut self, values: &'static [&'static str]) -> Self {
        self.canonical_values = values;
        self
    }

    /// Returns the sub-attribute of a name, in any case.
    #[must_use]
    pub fn sub(&self, name: &str) -> Option<&'static Attribute> {
        find(self.sub_attributes, name)
    }
}

/// A schema: a URN and the attributes it defines (RFC 7643 §7).
#[derive(Debug, PartialEq, Eq)]
pub struct Schema {
    /// The URN.
    pub id: &'static str,
    /// The name for display.
    pub name: &'static str,
    /// The description.
    pub description: &'static str,
    /// The attributes, in the order in which they are shown.
    pub attributes: &'static [Attribute],
}

impl Schema {
    /// Returns the attribute of a name, in any case.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        find(self.attributes, name)
    }

    /// Returns the attributes that `/Schemas` shows.
    ///
    /// A core schema shows `externalId`, although the attribute is common to all resources: Microsoft's test of gallery
    /// applications reads there whether a service supports it (`tests/fixtures/entra/external-id-in-schemas.json`). The
    /// other common attributes are not shown. An attribute that the service drops (`password`) is not shown either.
    pub fn shown_attributes(&self) -> impl Iterator<Item = &'static Attribute> {
        let is_core = RESOURCE_TYPES.iter().any(|resource_type| resource_type.schema.id == self.id);
        let external_id = COMMON.iter().filter(move |common| is_core && common.name == "externalId");
        let shown = self.attributes.iter().filter(|attribute| attribute.mutability != Mutability::WriteOnly);
        external_id.chain(shown)
    }
}

/// A resource type: an endpoint, its core schema and its extensions (RFC 7643 §6).
#[derive(Debug, PartialEq, Eq)]
pub struct ResourceType {
    /// The name, which is also the id.
    pub name: &'static str,
    /// The path of the endpoint below the base URL.
    pub endpoint: &'static str,
    /// The description.
    pub description: &'static str,
    /// The core schema.
    pub schema: &'static Schema,
    /// The extensions. None of them is required.
    pub extensions: &'static [&'static Schema],
}

/// The two kinds of resources: users and groups.
///
/// # Examples
/// ```
/// use scim::ResourceKind;
///
/// let group = ResourceKind::Group;
/// assert_eq!(group.as_str(), "Group");
/// assert_eq!(group.resource_type().endpoint, "/Groups");
/// assert_eq!(group.membership_attribute(), "members");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// A user (RFC 7643 §4.1).
    User,
    /// A group (RFC 7643 §4.2).
    Group,
}

impl ResourceKind {
    /// Every kind, in the order of [`RESOURCE_TYPES`].
    pub const ALL: [Self; 2] = [Self::User, Self::Group];

    /// Returns the resource type in the schema table.
    #[must_use]
    pub fn resource_type(self) -> &'static ResourceType {
        match self {
            Self::User => &USER_TYPE,
            Self::Group => &GROUP_TYPE,
        }
    }

    /// Returns the name of the resource type, as in `meta.resourceType` and in the `type` of a member.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// Returns the attribute that holds memberships. Memberships are stored beside the document of a resource.
    #[must_use]
    pub const fn membership_attribute(self) -> &'static str {
        match self {
            Self::User => GROUPS,
            Self::Group => MEMBERS,
        }
    }
}

/// URN of the core User schema.
pub const USER_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// URN of the Enterprise User extension.
pub const ENTERPRISE_USER_URN: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// URN of the core Group schema.
pub const GROUP_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// The attribute of a user that tells whether the user may use the product.
pub const ACTIVE: &str = "active";
/// The attribute of a user that lists the groups of the user.
pub const GROUPS: &str = "groups";
/// The attribute of a group that lists its members.
pub const MEMBERS: &str = "members";

/// The resource type of users, at `/Users`.
pub static USER_TYPE: ResourceType = ResourceType {
    name: "User",
    endpoint: "/Users",
    description: "A person of the organisation",
    schema: &USER,
    extensions: &[&ENTERPRISE_USER],
};

/// The resource type of groups, at `/Groups`.
pub static GROUP_TYPE: ResourceType = ResourceType {
    name: "Group",
    endpoint: "/Groups",
    description: "A group of people, which becomes a team in the product",
    schema: &GROUP,
    extensions: &[],
};

/// Every resource type, in the order of `/ResourceTypes`.
pub static RESOURCE_TYPES: [&ResourceType; 2] = [&USER_TYPE, &GROUP_TYPE];

/// Every schema, in the order of `/Schemas`.
pub static SCHEMAS: [&Schema; 3] = [&USER, &ENTERPRISE_USER, &GROUP];

fn find(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

/// The common attributes of every resource (RFC 7643 §3.1), in the order in which they are shown. No schema lists
/// them.
pub static COMMON: [Attribute; 4] = [
    // URNs of schemas compare in any case, unlike other references.
    Attribute::new("schemas", Type::Reference, "The URNs of the schemas the resource has values of")
        .multi()
        .required()
        .mutability(Mutability::ReadOnly)
        .returned(Returned::Always),
    Attribute::string("id", "The identifier the service gave the resource")
        .case_exact()
        .required()
        .unique()
        .mutability(Mutability::ReadOnly)
        .returned(Returned::Always),
    Attribute::string("externalId", "The identifier the identity provider gave the resource").case_exact(),
    Attribute::complex("meta", &META, "What the service knows about the resource")
        .mutability(Mutability::ReadOnly),
];

static META: [Attribute; 5] = [
    Attribute::string("resourceType", "The name of the resource type")
        .case_exact()
        .mutability(Mutability::ReadOnly),
    Attribute::new("created", Type::DateTime, "When the resource was created")
        .mutability(Mutability::ReadOnly),
    Attribute::new("lastModified", Type::DateTime, "When the resource was last changed")
        .mutability(Mutability::ReadOnly),
    Attribute::reference("location", &["uri"], "The URI of the resource").mutability(Mutability::ReadOnly),
    Attribute::string("version", "The ETag of the resource").case_exact().mutability(Mutability::ReadOnly),
];

/// The sub-attributes `value`, `display`, `type` and `primary` of a multi-valued attribute (RFC 7643 §2.4).
macro_rules! plural {
    ($value:expr, $types:expr) => {
        &[
            $value,
            Attribute::string("display", "A readable name of the value"),
            Attribute::string("type", "What the value is used for").canonical($types),
            Attribute::new("primary", Type::Boolean, "Whether this is the preferred value; at most one is"),
        ]
    };
}

/// The core User schema (RFC 7643 §4.1).
pub static USER: Schema = Schema {
    id: USER_URN,
    name: "User",
    description: "User Account",
    attributes: &[
        Attribute::string("userName", "The name the user signs in with, unique in the organisation")
            .required()
            .unique(),
        Attribute::complex(
            "name",
            &[
                Attribute::string("formatted", "The full name, as it is displayed"),
                Attribute::string("familyName", "The family name"),
                Attribute::string("givenName", "The given name"),
                Attribute::string("middleName", "The middle names"),
                Attribute::string("honorificPrefix", "The title before the name"),
                Attribute::string("honorificSuffix", "The suffix after the name"),
            ],
            "The parts of the user's name",
        ),
        Attribute::string("displayName", "The name shown to other people"),
        Attribute::string("nickName", "The casual name"),
        Attribute::reference("profileUrl", &["external"], "A page about the user"),
        Attribute::string("title", "The user's title, such as Vice President"),
        Attribute::string("userType", "The relation to the organisation, such as Employee"),
        Attribute::string("preferredLanguage", "The preferred languages, as in Accept-Language"),
        Attribute::string("locale", "The locale for dates, numbers and currency"),
        Attribute::string("timezone", "The time zone, as in the IANA database"),
        Attribute::new(ACTIVE, Type::Boolean, "Whether the user may use the product"),
        Attribute::string("password", "Accepted and dropped: the product has no passwords of its own")
            .case_exact()
            .mutability(Mutability::WriteOnly)
            .returned(Returned::Never),
        Attribute::complex(
            "emails",
            plural!(Attribute::string("value", "The e-mail address"), &["work", "home", "other"]),
            "E-mail addresses",
        )
        .multi(),
        Attribute::complex(
            "phoneNumbers",
            plural!(
                Attribute::string("value", "The telephone number"),
                &["work", "home", "mobile", "fax", "pager", "other"]
            ),
            "Telephone numbers",
        )
        .multi(),
        Attribute::complex(
            "ims",
            plural!(
                Attribute::string("value", "The instant messaging address"),
                &["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"]
            ),
            "Instant messaging addresses",
        )
        .multi(),
        Attribute::complex(
            "photos",
            plural!(
                Attribute::reference("value", &["external"], "The URL of the picture"),
                &["photo", "thumbnail"]
            ),
            "Pictures of the user",
        )
        .multi(),
        Attribute::complex(
            "addresses",
            &[
                Attribute::string("formatted", "The whole address, as it is displayed"),
                Attribute::string("streetAddress", "Street, house number and the like"),
                Attribute::string("locality", "The city"),
                Attribute::string("region", "The state or region"),
                Attribute::string("postalCode", "The postal code"),
                Attribute::string("country", "The country"),
                Attribute::string("type", "What the address is used for")
                    .canonical(&["work", "home", "other"]),
                Attribute::new(
                    "primary",
                    Type::Boolean,
                    "Whether this is the preferred value; at most one is",
                ),
            ],
            "Postal addresses",
        )
        .multi(),
        Attribute::complex(
            GROUPS,
            &[
                Attribute::string("value", "The id of the group")
                    .case_exact()
                    .mutability(Mutability::ReadOnly),
                Attribute::reference("$ref", &["Group"], "The URI of the group")
                    .mutability(Mutability::ReadOnly),
                Attribute::string("type", "How the user belongs to the group: always direct")
                    .canonical(&["direct"])
                    .mutability(Mutability::ReadOnly),
            ],
            "The groups the user is a member of; changed through the groups",
        )
        .multi()
        .mutability(Mutability::ReadOnly),
        Attribute::complex(
            "entitlements",
            plural!(Attribute::string("value", "The entitlement"), &[]),
            "Things the user is entitled to",
        )
        .multi(),
        Attribute::complex(
            "roles",
            plural!(Attribute::string("value", "The role"), &[]),
            "Roles of the user",
        )
        .multi(),
        Attribute::complex(
            "x509Certificates",
            plural!(
                Attribute::new("value", Type::Binary, "The certificate, DER in base64").case_exact(),
                &[]
            ),
            "Certificates of the user",
        )
        .multi(),
    ],
};

/// The Enterprise User extension (RFC 7643 §4.3).
pub static ENTERPRISE_USER: Schema = Schema {
    id: ENTERPRISE_USER_URN,
    name: "EnterpriseUser",
    description: "Enterprise User",
    attributes: &[
        Attribute::string("employeeNumber", "The number the employer gave the user"),
        Attribute::string("costCenter", "The cost center"),
        Attribute::string("organization", "The organization"),
        Attribute::string("division", "The division"),
        Attribute::string("department", "The department"),
        Attribute::complex(
            "manager",
            &[
                Attribute::string("value", "The id of the manager").case_exact(),
                Attribute::reference("$ref", &["User"], "The URI of the manager"),
                Attribute::string("displayName", "The name of the manager").mutability(Mutability::ReadOnly),
            ],
            "The user's manager",
        ),
    ],
};

/// The core Group schema (RFC 7643 §4.2).
pub static GROUP: Schema = Schema {
    id: GROUP_URN,
    name: "Group",
    description: "Group",
    attributes: &[
        Attribute::string("displayName", "The name of the group, unique in the organisation")
            .required()
            .unique(),
        Attribute::complex(
            MEMBERS,
            &[
                Attribute::string("value", "The id of the member")
                    .case_exact()
                    .mutability(Mutability::Immutable),
                Attribute::reference("$ref", &["User", "Group"], "The URI of the member")
                    .mutability(Mutability::Immutable),
                Attribute::string("type", "The resource type of the member")
                    .canonical(&["User", "Group"])
                    .mutability(Mutability::Immutable),
            ],
            "The members of the group",
        )
        .multi(),
    ],
};

/// The definition of every attribute of an extension without a schema here ([`Type::Any`]).
pub static CUSTOM: Attribute = Attribute::new("", Type::Any, "An attribute of a custom extension");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_name_their_resource_types() {
        for (kind, resource_type) in ResourceKind::ALL.into_iter().zip(RESOURCE_TYPES) {
            assert_eq!(kind.resource_type(), resource_type);
            assert_eq!(kind.as_str(), resource_type.name);
            assert!(resource_type.schema.attribute(kind.membership_attribute()).is_some());
        }
    }
}
