//! Makes a parsed expression mean what the language says where the evaluator below reads it otherwise: a field of `null`
//! is an error and not `false`, which would let things pass, and an optional field that is missing is no error.

use kube_cel::cel::IdedExpr;
use kube_cel::cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, operators};

use super::compile::{OWN_VARIABLES, own};
use super::functions::ORDERED;

/// Fields become lookups by key, which the evaluator does as it should, and variables names. How deep the expression is was
/// checked before.
pub(super) fn fields(expression: &mut IdedExpr) {
    let id = expression.id;
    match &mut expression.expr {
        Expr::Select(select) if select.test => fields(&mut select.operand),
        Expr::Select(select) => {
            fields(&mut select.operand);
            let key = LiteralValue::String(std::mem::take(&mut select.field).as_str().into());
            let args = vec![std::mem::take(&mut *select.operand), IdedExpr { id, expr: Expr::Literal(key) }];
            let call = CallExpr { func_name: operators::INDEX.to_owned(), target: None, args };
            expression.expr = own_name(&call).map_or(Expr::Call(call), Expr::Ident);
        }
        Expr::Call(call) => {
            if call.func_name == operators::OPT_SELECT {
                operators::OPT_INDEX.clone_into(&mut call.func_name);
            }
            call.target.iter_mut().for_each(|target| fields(target));
            call.args.iter_mut().for_each(fields);
            if let Some(name) = own_name(call) {
                expression.expr = Expr::Ident(name);
            }
        }
        Expr::Comprehension(comprehension) => {
            let one = &mut **comprehension;
            let parts = [&mut one.iter_range, &mut one.accu_init, &mut one.loop_cond, &mut one.loop_step];
            parts.into_iter().chain([&mut one.result]).for_each(fields);
            let args = vec![std::mem::take(&mut one.iter_range)];
            let ordered = Expr::Call(CallExpr { func_name: ORDERED.to_owned(), target: None, args });
            one.iter_range = IdedExpr { id, expr: ordered };
        }
        Expr::List(list) => list.elements.iter_mut().for_each(fields),
        Expr::Map(map) => map.entries.iter_mut().for_each(|entry| match &mut entry.expr {
            EntryExpr::StructField(field) => fields(&mut field.value),
            EntryExpr::MapEntry(entry) => [&mut entry.key, &mut entry.value].into_iter().for_each(fields),
        }),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => {}
    }
}

/// Of the variable that is looked up.
fn own_name(call: &CallExpr) -> Option<String> {
    match call.args.as_slice() {
        [IdedExpr { expr: Expr::Ident(map), .. }, IdedExpr { expr: Expr::Literal(LiteralValue::String(key)), .. }]
            if call.func_name == operators::INDEX && map == OWN_VARIABLES =>
        {
            Some(own(key.inner()))
        }
        _ => None,
    }
}
