package bench

import (
	"fmt"
	"math"
	"strings"
)

// A line is points of a chart: x, which is drawn by its logarithm, and y.
type line struct {
	name   string
	points [][2]float64
}

var colours = []string{"#1f6f7d", "#b4472e", "#8a6d1f", "#5b4b9a", "#555555"}

// chart draws lines as an SVG; with logarithmic, y is drawn by its logarithm, too.
func chart(title string, lines []line, logarithmic bool) string {
	const width, height, left, top, right = 640, 260, 76, 40, 150
	minX, maxX, minY, maxY := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, l := range lines {
		for _, p := range l.points {
			minX, maxX, minY, maxY = min(minX, p[0]), max(maxX, p[0]), min(minY, p[1]), max(maxY, p[1])
		}
	}
	if math.IsInf(minX, 1) {
		minX, maxX, minY, maxY = 1, 2, 1, 2
	}
	low, high := 0.0, maxY*1.05
	scale := func(y float64) float64 { return y }
	if logarithmic {
		scale = func(y float64) float64 { return math.Log10(max(y, 1e-4)) }
		low, high = math.Floor(scale(minY)), math.Ceil(scale(maxY))
	}
	high = max(high, low+1e-9)
	x := func(v float64) float64 { return left + width*math.Log(v/minX)/max(math.Log(maxX/minX), 1e-9) }
	y := func(v float64) float64 { return top + height*(1-(scale(v)-low)/(high-low)) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12"><rect width="100%%" height="100%%" fill="white"/>`+"\n", width+left+right, height+top+34)
	fmt.Fprintf(&b, `<text x="%d" y="20" font-size="14">%s</text>`+"\n", left, title)
	var marks []float64
	if logarithmic {
		for e := low; e <= high; e++ {
			marks = append(marks, math.Pow(10, e))
		}
	} else {
		for i := range 5 {
			marks = append(marks, high*float64(i)/4)
		}
	}
	for _, m := range marks {
		text := fmt.Sprintf("%g", m)
		if !logarithmic {
			text = thousands(int64(m))
		}
		fmt.Fprintf(&b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", left, y(m), left+width, y(m), left-8, y(m)+4, text)
	}
	var below []float64
	if len(lines) > 0 && len(lines[0].points) <= 6 {
		for _, p := range lines[0].points {
			below = append(below, p[0])
		}
	} else {
		for v := minX; v <= maxX; v *= 4 {
			below = append(below, v)
		}
	}
	for _, v := range below {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x(v), top+height+20, thousands(int64(v)))
	}
	for i, l := range lines {
		colour := colours[i%len(colours)]
		var points strings.Builder
		for _, p := range l.points {
			fmt.Fprintf(&points, "%.1f,%.1f ", x(p[0]), y(p[1]))
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`, strings.TrimSpace(points.String()), colour)
		fmt.Fprintf(&b, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", left+width+10, top+14+18*i, colour, l.name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}
