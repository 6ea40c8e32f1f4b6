//! `template.yaml` as a test reads it: CloudFormation's short forms resolved, as far as they can be without AWS.

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The template with values for its parameters.
pub struct Template {
    root: Value,
    parameters: BTreeMap<String, String>,
}

impl Template {
    /// Reads the template. What is not given is as its default says.
    pub fn with(parameters: &[(&str, &str)]) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("template.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        let root = json(&Yaml::load_from_str(&text).unwrap()[0]);
        let defaults = root["Parameters"].as_object().unwrap().iter().filter_map(|(name, parameter)| {
            let default = parameter.get("Default")?;
            Some((name.clone(), default.as_str().map_or_else(|| default.to_string(), str::to_owned)))
        });
        let given = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let parameters = defaults.chain(given).collect();
        Self { root, parameters }
    }

    /// The names of the functions.
    pub fn functions(&self) -> Vec<&str> {
        let resources = self.root["Resources"].as_object().unwrap().iter();
        let functions = resources.filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function");
        functions.map(|(name, _)| name.as_str()).collect()
    }

    /// A part of the template, by the names that lead there, resolved.
    pub fn get<'a>(&'a self, path: impl IntoIterator<Item = &'a str>) -> Value {
        let part = path.into_iter().fold(&self.root, |part, name| &part[name]);
        self.resolve(part).unwrap_or(Value::Null)
    }

    /// A part as it is written.
    pub fn written<'a>(&'a self, path: impl IntoIterator<Item = &'a str>) -> &'a Value {
        path.into_iter().fold(&self.root, |part, name| &part[name])
    }

    /// The environment of a function: its own variables and those of all. A resource's value is its name.
    pub fn environment(&self, function: &str) -> BTreeMap<String, String> {
        let of_all = self.get(["Globals", "Function", "Environment", "Variables"]);
        let own = self.get(["Resources", function, "Properties", "Environment", "Variables"]);
        let variables = [of_all, own].into_iter().flat_map(|variables| variables.as_object().unwrap().clone());
        variables.map(|(name, value)| (name, value.as_str().unwrap().to_owned())).collect()
    }

    /// A value with its functions evaluated; `None` is CloudFormation's `AWS::NoValue`.
    fn resolve(&self, value: &Value) -> Option<Value> {
        let Some(object) = value.as_object() else {
            return Some(match value {
                Value::Array(items) => items.iter().filter_map(|item| self.resolve(item)).collect(),
                plain => plain.clone(),
            });
        };
        let function = object.iter().next().filter(|_| object.len() == 1).map(|(name, of)| (name.as_str(), of));
        match function {
            Some(("Ref", name)) if name == "AWS::NoValue" => None,
            Some(("Ref", name)) => Some(self.value(name.as_str().unwrap()).into()),
            // What a resource has is, here, the resource itself.
            Some(("Fn::GetAtt", path)) => Some(path.as_str().unwrap().split('.').next().unwrap().into()),
            Some(("Fn::If", branches)) => {
                let holds = self.holds(&json!({"Condition": branches[0]}));
                self.resolve(&branches[if holds { 1 } else { 2 }])
            }
            Some(("Fn::Sub", text)) => {
                let mut pieces = text.as_str().unwrap().split("${");
                let mut text = pieces.next().unwrap().to_owned();
                for piece in pieces {
                    let (name, rest) = piece.split_once('}').unwrap();
                    text += &self.value(name);
                    text += rest;
                }
                Some(text.into())
            }
            _ => {
                let members = object.iter().filter_map(|(name, value)| Some((name.clone(), self.resolve(value)?)));
                Some(Value::Object(members.collect()))
            }
        }
    }

    fn holds(&self, condition: &Value) -> bool {
        let (function, of) = condition.as_object().unwrap().iter().next().unwrap();
        match function.as_str() {
            "Condition" => self.holds(&self.root["Conditions"][of.as_str().unwrap()]),
            "Fn::Not" => !self.holds(&of[0]),
            "Fn::Equals" => self.resolve(&of[0]) == self.resolve(&of[1]),
            other => panic!("{other} is not evaluated here"),
        }
    }

    /// A parameter's value, or the name of a resource, or AWS's own.
    fn value(&self, name: &str) -> String {
        let value = match name {
            "AWS::StackName" => "tollgate",
            "AWS::Region" => "us-east-1",
            "AWS::URLSuffix" => "amazonaws.com",
            "AWS::Partition" => "aws",
            "AWS::AccountId" => "123456789012",
            "HttpApi" => "a1b2c3d4e5",
            name => self.parameters.get(name).map_or(name, String::as_str),
        };
        value
            .split('.')
            .next()
            .filter(|resource| !self.root["Resources"][*resource].is_null())
            .unwrap_or(value)
            .to_owned()
    }
}

/// YAML as JSON, with CloudFormation's tags written out: `!Ref X` is `{"Ref": "X"}`, `!Sub` is `Fn::Sub`.
fn json(yaml: &Yaml<'_>) -> Value {
    let tagged = |tag: &saphyr::Tag, value: Value| match tag.suffix.as_str() {
        name @ ("Ref" | "Condition") => Value::Object(Map::from_iter([(name.to_owned(), value)])),
        name => Value::Object(Map::from_iter([(format!("Fn::{name}"), value)])),
    };
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => (*value).into(),
        Yaml::Value(Scalar::Integer(value)) => (*value).into(),
        Yaml::Value(Scalar::FloatingPoint(value)) => f64::from(*value).into(),
        Yaml::Value(Scalar::String(value)) => value.as_ref().into(),
        Yaml::Representation(text, _, Some(tag)) => tagged(tag, text.as_ref().into()),
        Yaml::Representation(text, _, None) => text.as_ref().into(),
        Yaml::Sequence(items) => items.iter().map(json).collect(),
        Yaml::Mapping(members) => Value::Object(
            members.iter().map(|(name, value)| (name.as_str().unwrap().to_owned(), json(value))).collect(),
        ),
        Yaml::Tagged(tag, value) => tagged(tag, json(value)),
        Yaml::Alias(_) | Yaml::BadValue => panic!("not a value: {yaml:?}"),
    }
}
