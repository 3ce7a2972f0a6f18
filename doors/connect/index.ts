/// <reference types="node" preserve="true" />
// The door `etcd-recipes/connect`: calls of connect-es to a server that `pick()` chose.
export {};
