/// <reference types="node" preserve="true" />
// The door `etcd-recipes/fastify`: a Fastify app that registers, drains and says whether it is ready.
export { type EtcdOfApp, type EtcdRecipesOptions, etcdRecipes } from "./etcd-recipes.ts";
