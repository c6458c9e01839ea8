package differences

import (
	"fmt"
	"strings"
)

// PartiQL statements.

// literal writes a value in PartiQL, or adds it to the parameters.
func (g *gen) literal(v object, parameters *list) string {
	if g.chance(40) || !simple(v) {
		*parameters = append(*parameters, v)
		return "?"
	}
	for typ, content := range v {
		switch typ {
		case "S":
			return "'" + strings.ReplaceAll(content.(string), "'", "''") + "'"
		case "N":
			return content.(string)
		case "BOOL":
			return fmt.Sprint(content)
		case "NULL":
			return "null"
		case "SS":
			parts := []string{}
			for _, e := range content.(list) {
				parts = append(parts, "'"+strings.ReplaceAll(e.(string), "'", "''")+"'")
			}
			return "<<" + strings.Join(parts, ",") + ">>"
		}
	}
	return "null"
}

// simple reports whether literal can write v inline.
func simple(v object) bool {
	for typ, content := range v {
		switch typ {
		case "N":
			return !strings.ContainsAny(content.(string), "eE+") && !strings.HasPrefix(content.(string), ".") && !strings.HasSuffix(content.(string), ".") && !strings.HasPrefix(content.(string), "0")
		case "S", "BOOL", "NULL", "SS":
			return true
		}
	}
	return false
}

func (g *gen) whereKey(t *shape, parameters *list) string {
	text := t.hash + " = " + g.literal(g.keyValue(t.types[t.hash]), parameters)
	if t.rng != "" && !g.chance(4) {
		text += " AND " + t.rng + " = " + g.literal(g.keyValue(t.types[t.rng]), parameters)
	}
	return text
}

// statement makes one statement; read asks for SELECT. whole is set for a SELECT
// whose order is the server's own.
func (g *gen) statement(read bool) (body object, whole whole) {
	t := g.table()
	parameters := list{}
	var text string
	switch {
	case read && g.chance(60):
		text = "SELECT " + pick(g, "*", "*", "a, n", "s", "m.a", "l[0]") + ` FROM "` + t.name + `" WHERE ` + g.whereKey(t, &parameters)
		if g.chance(15) {
			text += " AND " + g.partiqlCondition(&parameters)
		}
	case read:
		whole = allPages
		text = "SELECT " + pick(g, "*", "a, n", "pk") + ` FROM "` + t.name + `"`
		if g.chance(60) {
			text += " WHERE " + g.partiqlCondition(&parameters)
		}
	default:
		switch g.IntN(3) {
		case 0:
			it := g.item(t)
			parts := []string{}
			for _, name := range names(it) {
				parts = append(parts, "'"+name+"': "+g.literal(it[name].(object), &parameters))
			}
			text = `INSERT INTO "` + t.name + `" VALUE {` + strings.Join(parts, ", ") + "}"
		case 1:
			a := pick(g, "a", "b", "n", "s")
			text = `UPDATE "` + t.name + `" SET ` + a + " = " + g.literal(g.valueFor(a), &parameters)
			if g.chance(30) {
				text += pick(g, " REMOVE c", " SET b = 1", " REMOVE m.a")
			}
			text += " WHERE " + g.whereKey(t, &parameters)
			if g.chance(20) {
				text += " AND " + g.partiqlCondition(&parameters)
			}
			if g.chance(40) {
				text += " RETURNING " + pick(g, "ALL OLD *", "ALL NEW *", "MODIFIED OLD *", "MODIFIED NEW *")
			}
		default:
			text = `DELETE FROM "` + t.name + `" WHERE ` + g.whereKey(t, &parameters)
			if g.chance(20) {
				text += " AND " + g.partiqlCondition(&parameters)
			}
			if g.chance(40) {
				text += " RETURNING ALL OLD *"
			}
		}
	}
	if g.chance(3) {
		at := g.IntN(len(text))
		text = text[:at] + pick(g, "(", "'", "\"", " x ", "") + text[at+1:]
	}
	body = object{"Statement": text}
	if len(parameters) > 0 {
		body["Parameters"] = parameters
	}
	return body, whole
}

func (g *gen) partiqlCondition(parameters *list) string {
	a := pick(g, "a", "n", "s", "ss", "l", "m.a")
	switch g.IntN(8) {
	case 0:
		return a + " IS MISSING"
	case 1:
		return a + " IS NOT MISSING"
	case 2:
		return "begins_with(s, " + g.literal(s("a"), parameters) + ")"
	case 3:
		return "contains(" + a + ", " + g.literal(s("a"), parameters) + ")"
	case 4:
		return a + " IN [" + g.literal(n("1"), parameters) + ", " + g.literal(s("a"), parameters) + "]"
	case 5:
		return "n BETWEEN " + g.literal(n("1"), parameters) + " AND " + g.literal(n("3"), parameters)
	default:
		return a + " " + pick(g, "=", "<>", "<", "<=", ">", ">=") + " " + g.literal(g.valueFor(a), parameters)
	}
}

func (g *gen) partiql() *Request {
	read := g.chance(50)
	switch g.IntN(6) {
	case 0:
		statements := list{}
		for range 1 + g.IntN(4) {
			st, _ := g.statement(read)
			statements = append(statements, st)
		}
		body := object{"Statements": statements}
		g.common(body)
		return &Request{Op: "BatchExecuteStatement", Body: body}
	case 1:
		statements := list{}
		for range 1 + g.IntN(4) {
			st, _ := g.statement(read)
			statements = append(statements, st)
		}
		body := object{"TransactStatements": statements}
		g.common(body)
		return &Request{Op: "ExecuteTransaction", Body: body}
	}
	body, whole := g.statement(read)
	g.common(body)
	return &Request{Op: "ExecuteStatement", Body: body, Whole: whole}
}
