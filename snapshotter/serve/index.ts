export { StoreServer, type StoreServerOptions } from './store-server.js'
