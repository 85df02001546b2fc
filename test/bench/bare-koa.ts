// The floor of the register's benchmark: Koa and its router with one route that answers a constant.
import Router from '@koa/router'
import Koa from 'koa'

const router = new Router()
router.get('/', ctx => {
  ctx.body = { documents: [] }
})
new Koa().use(router.routes()).listen(Number(process.env.PORT), '127.0.0.1', () => {
  console.log(JSON.stringify({ message: 'listening' }))
})
