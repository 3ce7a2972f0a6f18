// `nest-app.mjs RECIPES DOOR KEY`: a Nest app that registers under KEY, and follows where it stands. It prints its port
// once it is registered.
import "reflect-metadata";
import { Controller, Get, Inject } from "@nestjs/common";
import { HttpAdapterHost, NestFactory } from "@nestjs/core";

const [, , , door, key] = process.argv;
const { EtcdRecipesModule, EtcdService, servicesToken } = await import(door);
const prefix = key.slice(0, key.lastIndexOf("/"));

class Work {
  constructor(peers) {
    this.peers = peers;
  }

  async work() {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return { peers: this.peers.list().length };
  }
}
// Decorators are functions: plain JavaScript calls them.
Controller()(Work);
Inject(servicesToken("peers"))(Work, undefined, 0);
Get("work")(Work.prototype, "work", Object.getOwnPropertyDescriptor(Work.prototype, "work"));

class App {}
const etcd = EtcdRecipesModule.forRoot({
  key,
  httpAdapterHost: HttpAdapterHost,
  ttlSeconds: 2,
  subscribe: { peers: prefix },
  drainMs: 300,
});
const app = await NestFactory.create({ module: App, imports: [etcd], controllers: [Work] }, { logger: ["error"] });
app.enableShutdownHooks();
await app.listen(0, "127.0.0.1");
await app.get(EtcdService).registration.ready;
console.log(app.getHttpServer().address().port);
