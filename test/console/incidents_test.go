package console

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// within has an incident be understood and mended in so many clicks at most.
func (p *page) within(clicks int) {
	p.t.Helper()
	if p.pressed > clicks {
		p.t.Errorf("it took %d clicks", p.pressed)
	}
	p.t.Logf("%d clicks", p.pressed)
	p.pressed = 0
}

// pictured keeps a picture for docs/console.md, where CONSOLE_DOCS names its folder.
func (p *page) pictured(name string) {
	p.t.Helper()
	dir := os.Getenv("CONSOLE_DOCS")
	if dir == "" {
		return
	}
	p.looks(1280, "light")
	picture := do(p, "take a picture of "+name, chromedp.CaptureScreenshot())
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// A record that the function can do nothing with holds up all that come after it.
func TestPoisonRecord(t *testing.T) {
	s := start(t, t.TempDir())
	s.deploy(t)
	for _, pk := range []string{"order-1", "poison", "order-2", "order-3", "order-4"} {
		s.put(t, "orders", attributes{"pk": attributes{"S": pk}, "total": attributes{"N": "12"}})
	}
	p := open(t, s.link)
	p.sees("orders → indexer is blocked", "pk=poison", "TypeError: no <i>price</i>", "3 records wait behind it")
	p.clicks("Show record")
	p.sees(`+   "total": 12`)
	p.pictured("poison")
	p.clicks("Hold this item only")
	p.seesNot("is blocked") // the others have gone on
	p.within(5)
}

// A partner's API is down, here for seconds. Nothing is lost; a pause spares the partner, and ends when it is back.
func TestPartnerIsDown(t *testing.T) {
	s := start(t, t.TempDir())
	down := filepath.Join(s.dir, "down")
	if err := os.WriteFile(down, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s.deploys(t, "incidents.yaml", "--parameter", "Down="+down)
	for i := range 20 {
		s.put(t, "payments", attributes{"pk": attributes{"S": fmt.Sprintf("payment-%d", i)}})
	}
	p := open(t, s.link)
	p.sees("payments → partner is blocked", "the partner answered 503 Service Unavailable", "19 records wait behind it")
	p.clicks("payments → partner")
	p.until(`document.querySelector('.charts polyline').points.length > 3`, "see how the lag grew")
	p.pictured("partner")
	p.clicks("Pause")
	p.sees("paused")
	if err := os.Remove(down); err != nil {
		t.Fatal(err)
	}
	p.clicks("Resume")
	p.until(`document.querySelector('h1 .tag')?.innerText === 'running'`, "see that it runs")
	p.within(5)
}

// A function writes to its own table, in a circle that never ends.
func TestCircle(t *testing.T) {
	s := start(t, t.TempDir())
	s.deploys(t, "incidents.yaml", "--parameter", "Down="+filepath.Join(s.dir, "down"))
	p := open(t, s.link)
	p.sees("visitors → circle")
	s.put(t, "visitors", attributes{"pk": attributes{"S": "visitor-1"}})
	p.sees("circle writes to visitors, whose changes call it", "calls a second")
	p.pictured("circle")
	p.clicks("Pause")
	p.sees("paused")
	p.clicks("visitors → circle")
	p.sees("Lag, records")
	p.clicks("Skip to now") // what is under way would go on when it is resumed
	p.clicks("Yes")
	p.sees("skipped")
	p.within(5)
}
