/// <reference types="node" preserve="true" />
// The door `etcd-recipes/nestjs`: a NestJS app that registers, drains and says whether it is ready.
export {};
