// Naming is Go's own side of a registry: it writes and reads through clientv3/naming, as Go services do.
//
//	naming <endpoint> <target> add <key> <address> <metadata as JSON>
//	naming <endpoint> <target> list
//	naming <endpoint> <target> watch
//	naming <endpoint> <target> resolve
//
// watch prints each update of endpoints.Manager as a line of JSON, resolve each state that the gRPC resolver gives, until
// the program is ended.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/clientv3/naming/endpoints"
	"go.etcd.io/etcd/clientv3/naming/resolver"
	gresolver "google.golang.org/grpc/resolver"
)

const ttlSeconds = 60

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(endpoint, target, command string, args []string) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 5 * time.Second})
	if err != nil {
		return err
	}
	manager, err := endpoints.NewManager(client, target)
	if err != nil {
		return err
	}
	ctx := context.Background()
	switch command {
	case "add":
		var metadata interface{}
		if err := json.Unmarshal([]byte(args[2]), &metadata); err != nil {
			return err
		}
		lease, err := client.Grant(ctx, ttlSeconds)
		if err != nil {
			return err
		}
		added := endpoints.Endpoint{Addr: args[1], Metadata: metadata}
		return manager.AddEndpoint(ctx, args[0], added, clientv3.WithLease(lease.ID))
	case "list":
		found, err := manager.List(ctx)
		if err != nil {
			return err
		}
		return say(found)
	case "watch":
		updates, err := manager.NewWatchChannel(ctx)
		if err != nil {
			return err
		}
		for batch := range updates {
			for _, update := range batch {
				if err := say(update); err != nil {
					return err
				}
			}
		}
		return nil
	case "resolve":
		builder, err := resolver.NewBuilder(client)
		if err != nil {
			return err
		}
		parsed := gresolver.Target{Scheme: "etcd", Endpoint: target}
		if _, err := builder.Build(parsed, connection{}, gresolver.BuildOptions{}); err != nil {
			return err
		}
		select {}
	}
	return fmt.Errorf("%s is no command", command)
}

// connection is what a gRPC channel is to its resolver.
type connection struct{ gresolver.ClientConn }

func (connection) UpdateState(state gresolver.State) {
	addresses := []string{}
	for _, address := range state.Addresses {
		addresses = append(addresses, address.Addr)
	}
	sort.Strings(addresses)
	if err := say(addresses); err != nil {
		panic(err)
	}
}

func say(value interface{}) error {
	return json.NewEncoder(os.Stdout).Encode(value)
}
