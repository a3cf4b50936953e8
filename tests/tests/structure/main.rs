//! The structure of the product crates: no cycle between files, no hidden calls in the store, bounded file sizes.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod causes;
mod cycles;
mod sources;

use std::collections::BTreeMap;

use sources::Crate;
use syn::visit::{self, Visit};

#[test]
fn scim_files_have_no_cycle() {
    assert_acyclic(&Crate::read("shared/scim"));
}

#[test]
fn service_files_have_no_cycle() {
    assert_acyclic(&Crate::read("shared/service"));
}

fn assert_acyclic(source: &Crate) {
    let cycles = cycles::cycles(&source.dependencies());
    assert!(cycles.is_empty(), "files that depend on each other: {cycles:#?}");
}

#[test]
fn scim_files_have_at_most_650_lines() {
    assert_sizes(&Crate::read("shared/scim"), 650);
}

#[test]
fn service_files_have_at_most_350_lines() {
    assert_sizes(&Crate::read("shared/service"), 350);
}

fn assert_sizes(source: &Crate, limit: usize) {
    let large: Vec<_> = source.product_lines().into_iter().filter(|(_, lines)| *lines > limit).collect();
    assert!(large.is_empty(), "files with more than {limit} lines of product code: {large:?}");
}

/// A method of `Directory` that another file of the store calls would be a dependency without a `use` line.
#[test]
fn store_files_call_no_directory_method_of_another_file() {
    let source = Crate::read("shared/service");
    let store = || source.files().filter(|(path, _)| path.starts_with("store/"));
    let mut defined = BTreeMap::new();
    for (path, file) in store().filter(|(path, _)| *path != "store/directory.rs") {
        let mut methods = DirectoryMethods::default();
        methods.visit_file(file);
        defined.extend(methods.0.into_iter().map(|method| (method, path)));
    }
    assert!(defined.contains_key("create_user"), "{defined:?}");
    let hidden: Vec<_> = store()
        .flat_map(|(path, file)| {
            let mut calls = DirectoryCalls::default();
            calls.visit_file(file);
            calls.0.into_iter().map(move |method| (path, method))
        })
        .filter(|(path, method)| defined.get(method).is_some_and(|file| file != path))
        .collect();
    assert!(hidden.is_empty(), "calls to a method of Directory that another file defines: {hidden:?}");
}

/// The names of the methods in `impl Directory`.
#[derive(Default)]
struct DirectoryMethods(Vec<String>);

impl Visit<'_> for DirectoryMethods {
    fn visit_item_impl(&mut self, node: &syn::ItemImpl) {
        if let syn::Type::Path(subject) = &*node.self_ty
            && subject.path.is_ident("Directory")
        {
            visit::visit_item_impl(self, node);
        }
    }

    fn visit_impl_item_fn(&mut self, node: &syn::ImplItemFn) {
        self.0.push(node.sig.ident.to_string());
    }
}

/// The names of the methods that are called on `self` or on `directory`.
#[derive(Default)]
struct DirectoryCalls(Vec<String>);

impl Visit<'_> for DirectoryCalls {
    fn visit_expr_method_call(&mut self, node: &syn::ExprMethodCall) {
        if let syn::Expr::Path(receiver) = &*node.receiver
            && (receiver.path.is_ident("self") || receiver.path.is_ident("directory"))
        {
            self.0.push(node.method.to_string());
        }
        visit::visit_expr_method_call(self, node);
    }
}
