//! Input: a PATCH path.

use scim::{
    ScimType,
    filter::MAX_LENGTH,
    path::{Path, Target},
    schema::RESOURCE_TYPES,
};

use super::assert_error;

pub(super) fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let path = match Path::parse(&text) {
        Ok(path) => path,
        Err(invalid) => return assert_error(&invalid, &[ScimType::InvalidPath]),
    };
    let printed = path.to_string();
    let same = if printed.chars().count() <= MAX_LENGTH {
        Path::parse(&printed).unwrap_or_else(|invalid| panic!("{printed}: {invalid}"))
    } else {
        path.clone()
    };
    assert_eq!(same.to_string(), printed);
    for resource_type in RESOURCE_TYPES {
        match path.resolve(resource_type) {
            Err(invalid) => assert_error(&invalid, &[ScimType::InvalidPath, ScimType::InvalidFilter]),
            Ok(target) => {
                assert_eq!(same.resolve(resource_type).as_ref(), Ok(&target), "{printed}");
                match target {
                    Target::Extension(urn) => assert!(urn.contains(':'), "{urn}"),
                    Target::Attribute { located, filter, .. } => {
                        assert!(filter.is_none() || located.attribute.multi_valued, "{printed}");
                    }
                }
            }
        }
    }
}
