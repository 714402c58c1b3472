//! From text to an expression that names only what exists and stays within static limits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube_cel::cel::IdedExpr;
use kube_cel::cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use kube_cel::cel::parser::Parser;

use super::cost::qualified;
use super::functions::{Effort, effort, growth, names};
use super::guard::guarded;
use super::reads::Part;
use super::value::cut;
use super::{patterns, scan, strict};
use crate::suggest::nearest;

/// Bytes of one expression: a page of text. Longer rules are better split into variables.
pub const LENGTH_MAX: usize = 2048;
/// Comprehensions within each other: a list of lists is all that the objects have.
pub const NESTING_MAX: usize = 2;
/// Brackets within each other; the parser recurses over them.
const BRACKETS_MAX: usize = 32;
/// How deep an expression may be when parsed; the evaluator recurses over it.
const DEPTH_MAX: usize = 200;
/// Characters of a name that a message repeats.
const SHOWN_CHARACTERS_MAX: usize = 60;
/// What a path begins with that leads into what a policy defines itself.
pub const OWN_VARIABLES: &str = "variables";

/// Under what name the evaluator knows `variables.<name>`: as one value, since it would copy a map of all of them.
pub(super) fn own(name: &str) -> String {
    format!("{OWN_VARIABLES}.{name}")
}

/// An expression that can be evaluated.
#[derive(Clone, Debug)]
pub struct Expression {
    pub(super) parsed: Arc<IdedExpr>,
    pub(super) patterns: BTreeMap<String, patterns::Size>,
    text: Arc<str>,
    reads: BTreeMap<String, Part>,
    variables: BTreeMap<String, Part>,
    alias: Option<Vec<String>>,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Why a text is no expression: a sentence, which names the place in the text where it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(pub String);

impl Expression {
    /// `known` are the names that the text may read; `variables` those that it may read as `variables.<name>`.
    pub fn compile(text: &str, known: &[&str], variables: &BTreeSet<String>) -> Result<Self, Fault> {
        if text.len() > LENGTH_MAX {
            let message = format!("the expression has {} bytes, at most {LENGTH_MAX} are allowed", text.len());
            return Err(Fault(format!("{message}: split it into variables")));
        }
        let bare = scan::bare(text)?;
        if let Some(sign) = scan::doubled(&bare) {
            return Err(Fault(format!(
                "{sign}{sign} means two things to two parsers: leave both out, or use brackets"
            )));
        }
        let depth = scan::brackets(&bare);
        if depth > BRACKETS_MAX {
            return Err(Fault(format!("{depth} brackets within each other, at most {BRACKETS_MAX} are allowed")));
        }
        let parsed = guarded(|| Parser::new().enable_optional_syntax(true).parse(text));
        let parsed = parsed.ok_or_else(|| Fault("the expression is too deep: split it into variables".to_owned()))?;
        let mut parsed = parsed.map_err(|errors| {
            let first = errors.errors.first();
            let place = first.map_or((1, 1), |error| error.pos);
            let reason = first.map(|error| error.msg.lines().next().unwrap_or_default().to_owned());
            Fault(format!("{} at {}:{} of the expression", spoken(reason.unwrap_or_default()), place.0, place.1))
        })?;
        let mut walk = Walk {
            known,
            declared: variables,
            local: Vec::new(),
            reads: BTreeMap::new(),
            variables: BTreeMap::new(),
            patterns: BTreeMap::new(),
        };
        walk.expression(&parsed, 0, 0)?;
        let Walk { reads, variables, patterns, .. } = walk;
        let alias = alias(&parsed);
        strict::fields(&mut parsed);
        Ok(Self { parsed: Arc::new(parsed), patterns, text: text.into(), reads, variables, alias })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// What can decide the result, of each of the given values that it reads.
    pub fn reads(&self) -> &BTreeMap<String, Part> {
        &self.reads
    }

    /// The same of each `variables.<name>` that it reads.
    pub fn variables(&self) -> &BTreeMap<String, Part> {
        &self.variables
    }

    /// The path to the value that this is another name of, so that who reads a field of this reads that field alone.
    pub fn alias(&self) -> Option<&[String]> {
        self.alias.as_deref()
    }
}

/// The parser's words without its inner names.
fn spoken(reason: String) -> String {
    if reason.contains("ParseError") { "syntax error, or too deep".to_owned() } else { reason }
}

/// A name as a message shows it.
fn shown(name: &str) -> String {
    cut(name, SHOWN_CHARACTERS_MAX)
}

fn too_deep() -> Fault {
    Fault(format!("the expression is more than {DEPTH_MAX} levels deep: split it into variables"))
}

struct Walk<'a> {
    known: &'a [&'a str],
    declared: &'a BTreeSet<String>,
    /// Variables of the comprehensions around.
    local: Vec<String>,
    reads: BTreeMap<String, Part>,
    variables: BTreeMap<String, Part>,
    patterns: BTreeMap<String, patterns::Size>,
}

impl Walk<'_> {
    fn expression(&mut self, expression: &IdedExpr, depth: usize, nesting: usize) -> Result<(), Fault> {
        if depth > DEPTH_MAX {
            return Err(too_deep());
        }
        if let Some(path) = path(expression) {
            let asks = matches!(&expression.expr, Expr::Select(select) if select.test);
            return self.path(expression, &path, depth, if asks { Part::PRESENCE } else { Part::All });
        }
        let depth = depth + 1;
        match &expression.expr {
            Expr::Unspecified => Err(Fault("the expression is empty".to_owned())),
            Expr::Struct(message) => {
                Err(Fault(format!("{} {{…}} makes a message, which has no use here", message.type_name)))
            }
            Expr::Literal(_) | Expr::Ident(_) => Ok(()),
            Expr::Select(select) => self.expression(&select.operand, depth, nesting),
            Expr::List(list) => list.elements.iter().try_for_each(|item| self.expression(item, depth, nesting)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::StructField(field) => self.expression(&field.value, depth, nesting),
                EntryExpr::MapEntry(entry) => {
                    self.expression(&entry.key, depth, nesting)?;
                    self.expression(&entry.value, depth, nesting)
                }
            }),
            Expr::Call(call) => self.call(call, depth, nesting),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, depth, nesting),
        }
    }

    fn path(&mut self, expression: &IdedExpr, path: &[String], depth: usize, part: Part) -> Result<(), Fault> {
        if depth + path.len() > DEPTH_MAX {
            return Err(too_deep());
        }
        Self::certain(expression)?;
        self.read(path, part)
    }

    fn call(&mut self, call: &CallExpr, depth: usize, nesting: usize) -> Result<(), Fault> {
        if let Some((operand, path)) = held_against_null(call) {
            return self.path(operand, &path, depth, Part::PRESENCE);
        }
        if let (operators::IN, [item, all]) = (call.func_name.as_str(), call.args.as_slice()) {
            self.expression(item, depth, nesting)?;
            return self.items(all, depth, nesting);
        }
        let name = qualified(call);
        if growth(name).is_none() {
            let meant = nearest(name, names()).map(|meant| format!(": did you mean {meant}?")).unwrap_or_default();
            return Err(Fault(format!("there is no function {}{meant}", shown(name))));
        }
        if effort(name) == Effort::Pattern {
            match call.args.last().map(|pattern| &pattern.expr) {
                Some(Expr::Literal(LiteralValue::String(pattern))) => {
                    let size = patterns::size(pattern.inner()).map_err(Fault)?;
                    self.patterns.insert(pattern.inner().to_owned(), size);
                }
                Some(_) | None => return Err(Fault(format!("the pattern of {name} must be written out as a text"))),
            }
        }
        if let Some(target) = call.target.as_ref().filter(|_| name == call.func_name) {
            self.expression(target, depth, nesting)?;
        }
        call.args.iter().try_for_each(|argument| self.expression(argument, depth, nesting))
    }

    /// What is gone over or searched: of a map its keys.
    fn items(&mut self, range: &IdedExpr, depth: usize, nesting: usize) -> Result<(), Fault> {
        let (value, instead) = or_value(range).unwrap_or((range, &[]));
        match path(value) {
            Some(path) => self.path(value, &path, depth, Part::ITEMS)?,
            None => self.expression(value, depth + 1, nesting)?,
        }
        instead.iter().try_for_each(|instead| self.expression(instead, depth + 1, nesting))
    }

    fn comprehension(&mut self, comprehension: &ComprehensionExpr, depth: usize, nesting: usize) -> Result<(), Fault> {
        if nesting == NESTING_MAX {
            return Err(Fault(format!(
                "more than {NESTING_MAX} of all, exists, exists_one, filter and map within each other"
            )));
        }
        self.items(&comprehension.iter_range, depth, nesting)?;
        self.expression(&comprehension.accu_init, depth, nesting)?;
        if comprehension.iter_var == OWN_VARIABLES || comprehension.iter_var2.as_deref() == Some(OWN_VARIABLES) {
            return Err(Fault(format!(
                "{OWN_VARIABLES} is taken: give what all, exists, filter or map goes over another name"
            )));
        }
        let outside = self.local.len();
        self.local.extend([comprehension.iter_var.clone(), comprehension.accu_var.clone()]);
        self.local.extend(comprehension.iter_var2.clone());
        let inside = [&comprehension.loop_cond, &comprehension.loop_step, &comprehension.result];
        inside.into_iter().try_for_each(|part| self.expression(part, depth, nesting + 1))?;
        self.local.truncate(outside);
        Ok(())
    }

    /// A variable that cannot be worked out is not there, and nobody may take that for an answer.
    fn certain(expression: &IdedExpr) -> Result<(), Fault> {
        let operand = match &expression.expr {
            Expr::Select(select) if select.test => &*select.operand,
            Expr::Call(call) if call.func_name != "_[_]" => match call.args.first() {
                Some(operand) => operand,
                None => return Ok(()),
            },
            Expr::Select(select) => return Self::certain(&select.operand),
            Expr::Call(call) => return call.args.first().map_or(Ok(()), Self::certain),
            Expr::Unspecified
            | Expr::Comprehension(_)
            | Expr::Ident(_)
            | Expr::List(_)
            | Expr::Literal(_)
            | Expr::Map(_)
            | Expr::Struct(_) => return Ok(()),
        };
        match &operand.expr {
            Expr::Ident(name) if name == OWN_VARIABLES => {
                Err(Fault(format!("a variable is always there: read it as {OWN_VARIABLES}.<name>")))
            }
            _ => Self::certain(operand),
        }
    }

    /// Notes what is read at the end of a path, if what it begins with exists.
    fn read(&mut self, path: &[String], part: Part) -> Result<(), Fault> {
        let [root, below @ ..] = path else { return Ok(()) };
        if self.local.contains(root) {
            return Ok(());
        }
        if root == OWN_VARIABLES {
            return match below.first() {
                None => Err(Fault(format!("{OWN_VARIABLES} is read as {OWN_VARIABLES}.<name>"))),
                Some(name) if self.declared.contains(name) => {
                    self.variables.entry(name.clone()).or_insert(Part::PRESENCE).add(&below[1..], part);
                    Ok(())
                }
                Some(name) => {
                    let meant = nearest(name, self.declared.iter().map(String::as_str));
                    let meant = meant.map(|meant| format!(": did you mean {meant}?")).unwrap_or_default();
                    Err(Fault(format!("no variable {} is defined before this{meant}", shown(name))))
                }
            };
        }
        if !self.known.contains(&root.as_str()) {
            let known = self.known.join(", ");
            let root = shown(root);
            return Err(Fault(format!("there is no {root}; an expression can read {known} and {OWN_VARIABLES}")));
        }
        self.reads.entry(root.clone()).or_insert(Part::PRESENCE).add(below, part);
        Ok(())
    }
}

/// `x` and `y` of `x.orValue(y)`.
fn or_value(expression: &IdedExpr) -> Option<(&IdedExpr, &[IdedExpr])> {
    match &expression.expr {
        Expr::Call(call) if call.func_name == "orValue" => Some((call.target.as_deref()?, &call.args)),
        _ => None,
    }
}

/// Where the value lies that the whole expression is, or is with something fixed in its place when it is not there.
fn alias(expression: &IdedExpr) -> Option<Vec<String>> {
    let (value, instead) = or_value(expression).unwrap_or((expression, &[]));
    let is_fixed = |instead: &IdedExpr| match &instead.expr {
        Expr::Literal(_) => true,
        Expr::List(list) => list.elements.is_empty(),
        Expr::Map(map) => map.entries.is_empty(),
        _ => false,
    };
    path(value).filter(|_| instead.iter().all(is_fixed))
}

/// The path of `x != null` and its like.
fn held_against_null(call: &CallExpr) -> Option<(&IdedExpr, Vec<String>)> {
    let is_null = |side: &IdedExpr| matches!(side.expr, Expr::Literal(LiteralValue::Null));
    match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::EQUALS | operators::NOT_EQUALS, [one, other] | [other, one]) if is_null(other) => {
            Some((one, path(one)?))
        }
        _ => None,
    }
}

/// `a.b["c"]` as `[a, b, c]`; `None` for what is more than that.
fn path(expression: &IdedExpr) -> Option<Vec<String>> {
    let mut steps = Vec::new();
    let mut at = expression;
    loop {
        match &at.expr {
            Expr::Ident(name) => {
                steps.push(name.clone());
                steps.reverse();
                return Some(steps);
            }
            Expr::Select(select) => {
                steps.push(select.field.clone());
                at = &select.operand;
            }
            Expr::Call(call) => {
                let ("_[_]" | "_[?_]" | "_?._", [operand, key]) = (call.func_name.as_str(), call.args.as_slice())
                else {
                    return None;
                };
                let Expr::Literal(LiteralValue::String(key)) = &key.expr else { return None };
                steps.push(key.inner().to_owned());
                at = operand;
            }
            Expr::Unspecified
            | Expr::Comprehension(_)
            | Expr::List(_)
            | Expr::Literal(_)
            | Expr::Map(_)
            | Expr::Struct(_) => return None,
        }
    }
}
