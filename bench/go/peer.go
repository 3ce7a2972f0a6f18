// The peer that speaks for Go's clientv3 in `npm run bench -- wire registrations`. It reads one command a line and answers each with one
// line of JSON: the figures, or {"error": "..."}.
//
//	load put|get|serializable IN_FLIGHT MILLISECONDS
//	replay PREFIX FROM_REVISION EVENTS
//	events PREFIX PUTS
//	leases COUNT TTL_SECONDS PAUSE_MILLISECONDS MILLISECONDS [PREFIX]
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/etcd/clientv3"
)

type figures map[string]float64

var value = strings.Repeat("a", 64)

func main() {
	client, err := clientv3.New(config())
	if err != nil {
		panic(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		answer, err := run(client, strings.Fields(lines.Text()))
		var text []byte
		if err != nil {
			text, _ = json.Marshal(map[string]string{"error": err.Error()})
		} else {
			text, _ = json.Marshal(answer)
		}
		fmt.Println(string(text))
	}
}

func config() clientv3.Config {
	config := clientv3.Config{Endpoints: strings.Split(os.Getenv("ENDPOINTS"), ","), DialTimeout: 5 * time.Second}
	if ca := os.Getenv("CA_FILE"); ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			panic(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		config.TLS = &tls.Config{RootCAs: pool}
	}
	return config
}

func run(client *clientv3.Client, args []string) (figures, error) {
	number := func(at int) int {
		n, _ := strconv.Atoi(args[at])
		return n
	}
	switch args[0] {
	case "load":
		return load(client, args[1], number(2), time.Duration(number(3))*time.Millisecond)
	case "replay":
		return replay(client, args[1], int64(number(2)), number(3))
	case "events":
		return events(client, args[1], number(2))
	case "leases":
		below := ""
		if len(args) > 5 {
			below = args[5]
		}
		first, hold := time.Duration(number(3))*time.Millisecond, time.Duration(number(4))*time.Millisecond
		return leases(client, number(1), int64(number(2)), first, hold, below)
	}
	return nil, fmt.Errorf("no command is called %s", args[0])
}

// What this process has used of the CPU, in microseconds.
func cpuUs() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	us := func(t syscall.Timeval) float64 { return float64(t.Sec)*1e6 + float64(t.Usec) }
	return us(usage.Utime) + us(usage.Stime)
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

func percentile(sorted []float64, part float64) float64 {
	at := int(float64(len(sorted))*part+0.9999) - 1
	if at < 0 {
		at = 0
	}
	return sorted[at]
}

func key(index int) string { return fmt.Sprintf("/bench/kv/%06d", index%10000) }

func load(client *clientv3.Client, operation string, inFlight int, forTime time.Duration) (figures, error) {
	ctx := context.Background()
	operate := func(index int) error {
		_, err := client.Put(ctx, key(index), value)
		return err
	}
	if operation == "get" {
		operate = func(index int) error {
			_, err := client.Get(ctx, key(index))
			return err
		}
	} else if operation == "serializable" {
		operate = func(index int) error {
			_, err := client.Get(ctx, key(index), clientv3.WithSerializable())
			return err
		}
	}
	var mutex sync.Mutex
	var latencies []float64
	var failed error
	next := 0
	cpu, start := cpuUs(), time.Now()
	end := start.Add(forTime)
	var group sync.WaitGroup
	for worker := 0; worker < inFlight; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			var own []float64
			for from := time.Now(); from.Before(end); {
				mutex.Lock()
				index := next
				next++
				mutex.Unlock()
				if err := operate(index); err != nil {
					mutex.Lock()
					failed = err
					mutex.Unlock()
					return
				}
				now := time.Now()
				own = append(own, ms(now.Sub(from)))
				from = now
			}
			mutex.Lock()
			latencies = append(latencies, own...)
			mutex.Unlock()
		}()
	}
	group.Wait()
	took := time.Since(start)
	used := cpuUs() - cpu
	if failed != nil {
		return nil, failed
	}
	sort.Float64s(latencies)
	return figures{
		"opsPerSecond": float64(len(latencies)) / took.Seconds(),
		"p50Ms":        percentile(latencies, 0.5),
		"p99Ms":        percentile(latencies, 0.99),
		"cpuUsEach":    used / float64(len(latencies)),
	}, nil
}

func replay(client *clientv3.Client, prefix string, from int64, count int) (figures, error) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(context.Background()))
	defer cancel()
	cpu, start := cpuUs(), time.Now()
	seen := 0
	characters := 0
	for response := range client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(from)) {
		if err := response.Err(); err != nil {
			return nil, err
		}
		for _, event := range response.Events {
			characters += len(string(event.Kv.Key)) + len(string(event.Kv.Value))
			seen++
		}
		if seen >= count {
			break
		}
	}
	return figures{"tookMs": ms(time.Since(start)), "cpuMs": (cpuUs() - cpu) / 1e3}, nil
}

func events(client *clientv3.Client, prefix string, puts int) (figures, error) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(context.Background()))
	defer cancel()
	watch := client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-watch
	var latencies []float64
	cpu := cpuUs()
	for put := 0; put < puts; put++ {
		start := time.Now()
		if _, err := client.Put(ctx, prefix+strconv.Itoa(put%100), value); err != nil {
			return nil, err
		}
		response := <-watch
		if err := response.Err(); err != nil {
			return nil, err
		}
		latencies = append(latencies, ms(time.Since(start)))
	}
	used := cpuUs() - cpu
	sort.Float64s(latencies)
	return figures{
		"p50Ms":     percentile(latencies, 0.5),
		"p99Ms":     percentile(latencies, 0.99),
		"cpuUsEach": used / float64(puts),
	}, nil
}

// Measures how they are held twice, each time after a pause. With below each lease has a key there, as a service that
// registers puts it.
func leases(
	client *clientv3.Client, count int, ttlSeconds int64, pause, hold time.Duration, below string,
) (figures, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ids := make([]clientv3.LeaseID, count)
	start, cpuStart := time.Now(), cpuUs()
	var group sync.WaitGroup
	var failed error
	slots := make(chan struct{}, 64)
	for at := range ids {
		group.Add(1)
		slots <- struct{}{}
		go func(at int) {
			defer group.Done()
			defer func() { <-slots }()
			granted, err := client.Grant(ctx, ttlSeconds)
			if err != nil {
				failed = err
				return
			}
			ids[at] = granted.ID
			if below != "" {
				service := below + strconv.Itoa(at)
				if _, err := client.Put(ctx, service, "10.0.0.1:8080", clientv3.WithLease(granted.ID)); err != nil {
					failed = err
					return
				}
			}
			answers, err := client.KeepAlive(ctx, granted.ID)
			if err != nil {
				failed = err
				return
			}
			go func() {
				for range answers {
				}
			}()
		}(at)
	}
	group.Wait()
	if failed != nil {
		return nil, failed
	}
	granted, cpuGranted := time.Since(start), cpuUs()
	var held [2]float64
	for at := range held {
		time.Sleep(pause)
		cpuBefore := cpuUs()
		time.Sleep(hold)
		held[at] = cpuUs() - cpuBefore
	}
	cancel()
	// Together: one after the other would take longer than they last.
	for _, id := range ids {
		group.Add(1)
		slots <- struct{}{}
		go func(id clientv3.LeaseID) {
			defer group.Done()
			defer func() { <-slots }()
			if _, err := client.Revoke(context.Background(), id); err != nil {
				failed = err
			}
		}(id)
	}
	group.Wait()
	if failed != nil {
		return nil, failed
	}
	return figures{
		"grantMs":    ms(granted),
		"grantCpuMs": (cpuGranted - cpuStart) / 1e3,
		"firstCpuMs": held[0] / 1e3,
		"heldCpuMs":  held[1] / 1e3,
	}, nil
}
