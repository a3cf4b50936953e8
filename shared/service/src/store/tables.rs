//! Creation of the tables for the local gateway and the tests. In AWS, `template.yaml` creates them.

use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata,
    types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
        TimeToLiveSpecification,
    },
};

use super::{
    bookmarks::EXPIRES,
    directory::Store,
    keys::{PK, SK},
    sdk_error::{failed, malformed},
};
use crate::Error;

impl Store {
    /// Creates the tables that do not exist yet, with the keys that they have in `template.yaml`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if DynamoDB does not answer.
    pub async fn create_tables(&self) -> Result<(), Error> {
        for table in [&self.tables.resources, &self.tables.keys, &self.tables.requests] {
            let mut request =
                self.db.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
            for (name, key_type) in [(PK, KeyType::Hash), (SK, KeyType::Range)] {
                let attribute = AttributeDefinition::builder()
                    .attribute_name(name)
                    .attribute_type(ScalarAttributeType::S)
                    .build()
                    .map_err(|_| malformed())?;
                let key = KeySchemaElement::builder()
                    .attribute_name(name)
                    .key_type(key_type)
                    .build()
                    .map_err(|_| malformed())?;
                request = request.attribute_definitions(attribute).key_schema(key);
            }
            match request.send().await {
                Ok(_) => {}
                Err(error) if error.code() == Some("ResourceInUseException") => continue,
                Err(error) => return Err(failed(&error)),
            }
            let time_to_live = TimeToLiveSpecification::builder()
                .attribute_name(EXPIRES)
                .enabled(true)
                .build()
                .map_err(|_| malformed())?;
            let request =
                self.db.update_time_to_live().table_name(table).time_to_live_specification(time_to_live);
            request.send().await.map_err(|error| failed(&error))?;
        }
        Ok(())
    }
}
