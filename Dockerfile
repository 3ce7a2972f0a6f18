# The programs of examples/engine, for the profile "engine" of docker-compose.yml. The library itself is used from npm.

FROM node:24-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json tsconfig.examples.json ./
COPY scripts scripts
COPY src src
COPY recipes recipes
COPY testing testing
COPY doors doors
COPY cli cli
COPY examples examples
RUN npm run build && npm run build:examples

FROM node:24-slim AS dependencies
WORKDIR /engine
COPY package.json package-lock.json ./
RUN npm ci --omit=dev
# The library does not depend on it, only the engine does.
COPY --from=build /src/node_modules/@redis node_modules/@redis
COPY --from=build /src/node_modules/cluster-key-slot node_modules/cluster-key-slot

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /engine
# "etcd-recipes" is found by the name of this package.
COPY package.json ./
COPY --from=dependencies /engine/node_modules node_modules
COPY --from=build /src/dist dist
COPY --from=build /src/build/examples/engine engine
COPY --from=build /src/build/examples/printable.js ./
RUN mkdir /data && chown node:node /data
USER node
STOPSIGNAL SIGTERM
ENTRYPOINT ["node"]
CMD ["engine/master/master.js", "--help"]
