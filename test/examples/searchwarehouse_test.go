package examples

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// A search engine follows a table, and later a warehouse, too, from the items that are
// there. What one of them refuses, or that one is down, does not concern the other.
func TestSearchAndWarehouse(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t)
	const made, repriced, removed = 300, 100, 20
	for n := range made {
		c.put(n, n)
	}
	for n := range repriced {
		c.put(n, 1000+n)
	}
	for n := range removed {
		c.remove(n)
	}
	c.settle()
	if ids := c.search("name:walnut"); len(ids) != (made-removed)/10 {
		t.Errorf("%d walnut tables are found, want %d", len(ids), (made-removed)/10)
	}
	c.sameIndex()

	// The warehouse comes late, and gets what there is as it is.
	c.addWarehouse()
	c.settle()
	c.sameWarehouse()
	prices := c.sql("SELECT count(*) FROM prices")
	if prices != fmt.Sprint(made-removed) {
		t.Errorf("the warehouse knows of %s prices, want one for each of %d products", prices, made-removed)
	}
	c.put(50, 7)
	c.put(51, 8)
	c.settle()
	if now := c.sql("SELECT count(*) FROM prices"); now != fmt.Sprint(made-removed+2) {
		t.Errorf("the warehouse knows of %s prices after two more, want %d", now, made-removed+2)
	}

	// The search engine takes numbers as prices only.
	c.write(60, &types.AttributeValueMemberS{Value: "ask us"})
	c.put(61, 9)
	await(t, "the refused document is parked", func() bool { return strings.Contains(c.command("parked", "ls"), "product60") })
	c.settle()
	if got := c.sql("SELECT price FROM products WHERE id = 'product60'"); got != "ask us" {
		t.Errorf("the warehouse has the price %q", got)
	}
	if ids := c.search("id:product61 AND price:9"); len(ids) != 1 {
		t.Errorf("what was behind the refused document is found %d times", len(ids))
	}
	c.put(60, 10) // put right
	c.settle()
	c.sameIndex()

	// The warehouse is down for a while.
	c.warehouse.signal(syscall.SIGINT)
	for n := range 50 {
		c.put(500+n, n)
	}
	await(t, "the search engine has what the warehouse has not", func() bool { return len(c.search("id:product549")) == 1 })
	c.startWarehouse()
	c.settle()
	c.sameWarehouse()
	c.sameIndex()
}

// The server is killed when the warehouse has just been added, while products change.
func TestSearchAndWarehouseKilled(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t)
	const made = 1000
	for n := range made {
		c.put(n, n)
	}
	var writing sync.WaitGroup
	defer writing.Wait()
	stop := make(chan struct{})
	halt := sync.OnceFunc(func() { close(stop) })
	defer halt()
	for client := range 4 {
		writing.Go(func() {
			for n := client; ; n += 4 {
				select {
				case <-stop:
					return
				default:
				}
				_ = c.tryWrite(n%made, num(n)) // what is not taken is not in the table either
			}
		})
	}
	c.addWarehouse()
	await(t, "the warehouse has something", func() bool {
		return c.sql("SELECT to_regclass('products') IS NOT NULL") == "t" && c.sql("SELECT count(*) > 0 FROM products") == "t"
	})
	c.kill()
	c.start()
	halt()
	writing.Wait()
	c.put(0, 0) // behind everything
	c.settle()
	c.sameWarehouse()
	c.sameIndex()
	t.Logf("%s products and %s prices in the warehouse", c.sql("SELECT count(*) FROM products"), c.sql("SELECT count(*) FROM prices"))
}

// catalogue is the application with a search engine and a warehouse.
type catalogue struct {
	*app
	engine string // where the search engine is

	postgres    string // the folder of PostgreSQL's programs
	folder, url string // of the database
	warehouse   *process
}

func newCatalogue(t *testing.T) *catalogue {
	t.Helper()
	c := &catalogue{postgres: postgres(t)}
	modules := nodeModules(t, "pg")
	_, path := python(t)
	c.startEngine(t)
	c.app = &app{t: t}
	c.createWarehouse()
	c.startWarehouse()
	c.app = serve(t, "search-and-warehouse", "template.yaml", []string{modules, path}, "Search="+c.engine, "SearchRetries=2")
	return c
}

// startEngine starts OpenSearch.
func (c *catalogue) startEngine(t *testing.T) {
	t.Helper()
	java, err := exec.LookPath("java")
	jars := os.Getenv("EXAMPLES_OPENSEARCH")
	if err != nil || jars == "" {
		absent(t, "it takes java, and EXAMPLES_OPENSEARCH, a folder with the jars that opensearch/pom.xml names")
	}
	addr := freeAddr(t)
	_, port, _ := strings.Cut(addr, ":")
	engine := run(t, "opensearch", filepath.Join(applications, "search-and-warehouse", "opensearch"), nil, java, "-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-cp", filepath.Join(jars, "*"), "Engine.java", port, t.TempDir())
	c.engine = "http://" + addr
	engine.await("started")
}

// postgres is the folder of PostgreSQL's programs.
func postgres(t *testing.T) string {
	t.Helper()
	folders := []string{os.Getenv("EXAMPLES_POSTGRES")}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		folders = append(folders, filepath.Dir(initdb))
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is right
	for _, f := range append(folders, debian...) {
		if _, err := os.Stat(filepath.Join(f, "psql")); f != "" && err == nil {
			return f
		}
	}
	absent(t, "PostgreSQL is not installed; or set EXAMPLES_POSTGRES to the folder of initdb, postgres and psql")
	return ""
}

// createWarehouse makes an empty database. PostgreSQL refuses to run as root, so that
// root runs it as the user postgres or nobody.
func (c *catalogue) createWarehouse() {
	c.t.Helper()
	var err error
	if c.folder, err = os.MkdirTemp("", "millstream-warehouse-"); err != nil { // the test's own is closed to others
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = os.RemoveAll(c.folder) })
	if who := c.owner(); who != nil {
		if err := os.Chown(c.folder, int(who.Credential.Uid), int(who.Credential.Gid)); err != nil {
			c.t.Fatal(err)
		}
	}
	cmd := exec.Command(filepath.Join(c.postgres, "initdb"), "-D", c.folder, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	cmd.Dir, cmd.SysProcAttr = "/", c.owner()
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("initdb: %v\n%s", err, out)
	}
	addr := freeAddr(c.t)
	c.url = "postgres://postgres@" + addr + "/postgres"
}

func (c *catalogue) owner() *syscall.SysProcAttr {
	if os.Getuid() != 0 {
		return nil
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		who, err = user.Lookup("nobody")
	}
	if err != nil {
		c.t.Fatal(err)
	}
	uid, _ := strconv.ParseUint(who.Uid, 10, 32) // are numbers on systems that have a root
	gid, _ := strconv.ParseUint(who.Gid, 10, 32)
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

// startWarehouse starts PostgreSQL, at the same address each time.
func (c *catalogue) startWarehouse() {
	c.t.Helper()
	_, port, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(c.url, "postgres://postgres@"), "/postgres"), ":")
	c.warehouse = runAs(c.t, "postgres", "/", nil, c.owner(), filepath.Join(c.postgres, "postgres"), "-D", c.folder, "-p", port, "-F",
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")
	c.warehouse.await("ready to accept connections")
}

// addWarehouse has the warehouse follow the table, too.
func (c *catalogue) addWarehouse() {
	c.t.Helper()
	c.with("WithWarehouse=yes", "Warehouse="+c.url)
	args := []string{"deploy", filepath.Join(c.dir, "template.yaml")}
	for i, a := range c.args {
		if a == "--parameter" {
			args = append(args, a, c.args[i+1])
		}
	}
	c.command(args...)
}

// put writes a product; every tenth is of walnut.
func (c *catalogue) put(n, price int) {
	c.t.Helper()
	c.write(n, num(price))
}

func (c *catalogue) write(n int, price types.AttributeValue) {
	c.t.Helper()
	if err := c.tryWrite(n, price); err != nil {
		c.t.Fatal(err)
	}
}

func (c *catalogue) tryWrite(n int, price types.AttributeValue) error {
	wood := "oak"
	if n%10 == 0 {
		wood = "walnut"
	}
	_, err := c.db.PutItem(c.t.Context(), &dynamodb.PutItemInput{TableName: aws.String(c.table("Products")), Item: map[string]types.AttributeValue{
		"id": str(fmt.Sprintf("product%d", n)), "name": str(fmt.Sprintf("A table of %s, no. %d", wood, n)), "price": price,
	}})
	return err
}

func (c *catalogue) remove(n int) {
	c.t.Helper()
	_, err := c.db.DeleteItem(c.t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(c.table("Products")), Key: map[string]types.AttributeValue{
		"id": str(fmt.Sprintf("product%d", n)),
	}})
	if err != nil {
		c.t.Fatal(err)
	}
}

// products are the table's: names and prices by id.
func (c *catalogue) products() map[string]string {
	c.t.Helper()
	all := map[string]string{}
	for _, item := range c.scan("Products") {
		all[text(item["id"])] = text(item["name"]) + " for " + text(item["price"])
	}
	return all
}

// search is what the engine finds: names and prices by id.
func (c *catalogue) search(query string) map[string]string {
	c.t.Helper()
	if status, body, err := request(c.t.Context(), http.MethodPost, c.engine+"/products/_refresh", nil); err != nil || status != http.StatusOK {
		c.t.Fatalf("refresh: %d %s %v", status, body, err)
	}
	_, body, err := request(c.t.Context(), http.MethodPost, c.engine+"/products/_search", map[string]any{
		"size": 10000, "query": map[string]any{"query_string": map[string]any{"query": query}},
	})
	var found struct {
		Hits struct {
			Hits []struct {
				ID     string `json:"_id"`
				Source struct {
					Name  string
					Price json.RawMessage
				} `json:"_source"`
			}
		}
	}
	if err == nil {
		err = json.Unmarshal(body, &found)
	}
	if err != nil {
		c.t.Fatalf("%v in %s", err, body)
	}
	all := map[string]string{}
	for _, h := range found.Hits.Hits {
		all[h.ID] = h.Source.Name + " for " + string(h.Source.Price)
	}
	return all
}

// sql asks the warehouse.
func (c *catalogue) sql(query string) string {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), filepath.Join(c.postgres, "psql"), "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", query, c.url)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("psql: %v\n%s", err, errs.String())
	}
	return strings.TrimSpace(string(out))
}

func (c *catalogue) sameIndex() {
	c.t.Helper()
	c.compare("the search engine", c.search("*"))
}

func (c *catalogue) sameWarehouse() {
	c.t.Helper()
	all := map[string]string{}
	for line := range strings.Lines(c.sql("SELECT id, name || ' for ' || price FROM products")) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), "|")
		all[id] = rest
	}
	c.compare("the warehouse", all)
}

func (c *catalogue) compare(who string, got map[string]string) {
	c.t.Helper()
	want := c.products()
	if maps.Equal(got, want) {
		return
	}
	c.t.Errorf("%s has %d products, the table %d", who, len(got), len(want))
	for id := range want {
		if got[id] != want[id] {
			c.t.Errorf("%s has %q as %s, want %q", who, got[id], id, want[id])
			return
		}
	}
}
