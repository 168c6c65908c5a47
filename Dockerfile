FROM node:22-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json ./
COPY scripts scripts
COPY src src
COPY cli cli
RUN npm run build

FROM node:22-trixie-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without the optional packages: they bring the embedded server, which is for development.
RUN npm ci --omit=dev --omit=optional

FROM node:22-trixie-slim
# psql for `saasctl tenant shell` and pg_dump for backups, both of PostgreSQL 17; mariadb-dump; openssl for exports that are
# encrypted to somebody.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends postgresql-client mariadb-client openssl \
  && rm -rf /var/lib/apt/lists/*
# The file key store lies here: mount a volume, or keep the keys elsewhere and set SAASCTL_KEY_STORE.
RUN install --directory --owner=node --group=node --mode=700 /var/lib/saasctl
ENV NODE_ENV=production SAASCTL_HOME=/var/lib/saasctl
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
COPY catalog-migrations catalog-migrations
COPY tenant-migrations tenant-migrations
COPY tenant-templates tenant-templates
USER node
ENTRYPOINT ["node", "dist/cli/main.js"]
CMD ["--help"]
