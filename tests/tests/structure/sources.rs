//! The source files of a crate and the dependencies between them.
//!
//! A file depends on another if it names something that the other defines: in a `use` declaration, or by a path that
//! begins with `crate`, `self` or `super`. A name that a module re-exports (`pub use`) counts as defined where the
//! re-export leads. Code under `#[cfg(test)]` does not count.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use syn::{
    UseTree, Visibility,
    visit::{self, Visit},
};

use crate::cycles::Graph;

/// A module's path from the crate root, which is empty for the root itself.
type Module = Vec<String>;

/// The parsed source files of one crate.
pub(crate) struct Crate {
    files: BTreeMap<Module, File>,
}

struct File {
    /// The path below `src`.
    path: String,
    text: String,
    syntax: syn::File,
    /// Names that the module re-exports, with the path that each leads to.
    reexports: BTreeMap<String, Module>,
}

impl Crate {
    /// Reads every file below `src` of the crate at that path of the workspace.
    pub(crate) fn read(directory: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(directory).join("src");
        let mut paths = Vec::new();
        list(&root, &mut paths);
        let mut files = BTreeMap::new();
        for path in paths {
            let relative = path.strip_prefix(&root).expect("a path below src");
            let text = fs::read_to_string(&path).expect("a source file");
            let syntax = without_tests(syn::parse_file(&text).expect("a file that compiles"));
            let module = module_of(relative);
            let reexports = reexports(&syntax, &module);
            let path = relative.to_string_lossy().into_owned();
            files.insert(module, File { path, text, syntax, reexports });
        }
        // A file that a module `tests` declares has only tests.
        let tests: Vec<Module> =
            files.keys().filter(|module| module.iter().any(|name| name == "tests")).cloned().collect();
        for module in tests {
            files.remove(&module);
        }
        assert!(files.len() > 1, "{directory} has no sources");
        Self { files }
    }

    /// Returns the files with their paths below `src`.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &syn::File)> {
        self.files.values().map(|file| (file.path.as_str(), &file.syntax))
    }

    /// Counts the lines of each file before its inline tests.
    pub(crate) fn product_lines(&self) -> Vec<(&str, usize)> {
        let before_tests = |text: &str| text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
        let lines = |text: &str| text[..before_tests(text)].lines().count();
        self.files.values().map(|file| (file.path.as_str(), lines(&file.text))).collect()
    }

    /// Returns the files that each file depends on.
    pub(crate) fn dependencies(&self) -> Graph {
        let mut graph = Graph::new();
        for (module, file) in &self.files {
            let mut paths = Paths { module, found: Vec::new() };
            paths.visit_file(&file.syntax);
            let files = paths.found.into_iter().filter_map(|path| self.defining_file(&path));
            graph.insert(file.path.clone(), files.filter(|path| *path != file.path).collect());
        }
        graph
    }

    /// Returns the file that defines the item at the path, through re-exports.
    fn defining_file(&self, path: &[String]) -> Option<String> {
        let length = (0..=path.len()).rev().find(|length| self.files.contains_key(&path[..*length]))?;
        let file = &self.files[&path[..length]];
        match path.get(length).and_then(|name| file.reexports.get(name)) {
            Some(target) => {
                let rest = path.get(length + 1..).unwrap_or_default();
                self.defining_file(&[target.as_slice(), rest].concat())
            }
            None => Some(file.path.clone()),
        }
    }
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            list(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn module_of(path: &Path) -> Module {
    let mut module: Module =
        path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|name| matches!(name.as_str(), "mod" | "lib")) {
        module.pop();
    }
    module
}

/// Removes the items under `#[cfg(test)]`.
fn without_tests(mut file: syn::File) -> syn::File {
    file.items.retain(|item| {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            _ => return true,
        };
        !attributes.iter().any(|attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
        })
    });
    file
}

fn reexports(file: &syn::File, module: &[String]) -> BTreeMap<String, Module> {
    let mut names = BTreeMap::new();
    for item in &file.items {
        if let syn::Item::Use(item) = item
            && !matches!(item.vis, Visibility::Inherited)
        {
            for (name, path) in leaves(&item.tree, &[]) {
                // In this edition, a path without a keyword names a module beside it, or another crate.
                let target = absolute(&path, module).unwrap_or_else(|| [module, path.as_slice()].concat());
                names.insert(name, target);
            }
        }
    }
    names
}

/// Returns the names that a `use` tree brings in, each with its path.
fn leaves(tree: &UseTree, before: &[String]) -> Vec<(String, Module)> {
    let extended = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
    match tree {
        UseTree::Path(path) => leaves(&path.tree, &extended(&path.ident)),
        UseTree::Name(name) if name.ident == "self" => {
            vec![(before.last().cloned().unwrap_or_default(), before.to_vec())]
        }
        UseTree::Name(name) => vec![(name.ident.to_string(), extended(&name.ident))],
        UseTree::Rename(rename) => vec![(rename.rename.to_string(), extended(&rename.ident))],
        UseTree::Glob(_) => vec![("*".to_owned(), before.to_vec())],
        UseTree::Group(group) => group.items.iter().flat_map(|tree| leaves(tree, before)).collect(),
    }
}

/// Resolves `crate`, `self` and `super` at the beginning of a path. Returns `None` for any other path.
fn absolute(path: &[String], module: &[String]) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([module, rest].concat()),
        "super" => {
            let parent = &module[..module.len().checked_sub(1)?];
            absolute(rest, parent)
                .filter(|_| rest.first().is_some_and(|next| next == "super"))
                .or_else(|| Some([parent, rest].concat()))
        }
        _ => None,
    }
}

/// Collects the paths into this crate that a file names.
struct Paths<'a> {
    module: &'a [String],
    found: Vec<Module>,
}

impl Visit<'_> for Paths<'_> {
    fn visit_item_use(&mut self, node: &syn::ItemUse) {
        // A re-export is no dependency of this file: the file that uses the name depends on what defines it.
        if matches!(node.vis, Visibility::Inherited) {
            let paths = leaves(&node.tree, &[]).into_iter();
            self.found.extend(paths.filter_map(|(_, path)| absolute(&path, self.module)));
        }
    }

    fn visit_path(&mut self, node: &syn::Path) {
        let path: Module = node.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.found.extend(absolute(&path, self.module).filter(|_| path.len() > 1));
        visit::visit_path(self, node);
    }
}
