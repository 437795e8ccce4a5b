"""Small hand-written exports in the shapes that shops and public data sets have."""

from __future__ import annotations

RETAILROCKET = {
    "events.csv": """\
timestamp,visitorid,event,itemid,transactionid
1433221332117,257597,view,355908,
1433224214164,992329,view,248676,
1433221999827,111016,addtocart,318965,
1433221955914,483717,transaction,253185,7
1433221337106,951259,view,367447,
1433224086234,257597,view,248676,
"""
}

TAOBAO = {
    "UserBehavior.csv": """\
100,2001,31,pv,1511544070
100,2002,31,pv,1511561733
100,2003,32,fav,1511572885
200,2001,31,pv,1511593493
200,2001,31,cart,1511593500
200,2003,32,pv,1511596146
300,2002,31,pv,1511616481
300,2002,31,buy,1511616490
300,2004,32,pv,1511644942
"""
}

LUMA = {
    "products.csv": """\
sku,store_view_code,product_type,categories,name,description,price,base_image,color
MB01,,simple,Default/Gear/Bags,Joust Duffle Bag,<p>The sporty Joust Duffle</p>,34.00,/m/b/mb01.jpg,Black
MB02,,simple,Default/Gear/Bags,Fusion Backpack,<p>With the Fusion Backpack</p>,59.00,/m/b/mb02.jpg,Blue
WH01,,configurable,Default/Women/Tops,Mona Pullover,<p>Chic and light</p>,57.00,/w/h/wh01.jpg,Black
""",
    "products_reviews.csv": """\
sku,rating_code,rating_value,title,review,reviewer,email
MB01,Rating,2,"I prefer more compartments","I prefer more compartments, like in a suitcase.",Chi,
MB01,Rating,4,"I use it a lot ","It is a good size and I use it a lot.",Darwin,
MB02,Rating,5,"Had it for long","I have had this thing for really long.",Darwin,
WH01,Rating,3,"Runs small","It runs a little small for what I expected.",Nikki,
""",
}

ONLINE_RETAIL = {
    "OnlineRetail.csv": """\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,WHITE HANGING HEART,6,12/1/2010 8:26,2.55,17850,United Kingdom
536365,71053,WHITE METAL LANTERN,6,12/1/2010 8:26,3.39,17850,United Kingdom
536370,22728,ALARM CLOCK PINK,24,12/13/2010 8:45,3.75,12583,France
536370,71053,WHITE METAL LANTERN,2,12/13/2010 8:45,3.39,12583,France
C536379,71053,WHITE METAL LANTERN,-1,12/13/2010 9:41,3.39,17850,United Kingdom
536380,22728,ALARM CLOCK PINK,1,12/14/2010 9:41,3.75,,United Kingdom
536381,85123A,WHITE HANGING HEART,2,12/15/2010 9:41,2.55,15311,United Kingdom
536381,22728,ALARM CLOCK PINK,2,12/15/2010 9:41,3.75,15311,United Kingdom
536382,22728,ALARM CLOCK PINK,2,12/15/2010 9:45,3.75,12583,France
536383,22728,ALARM CLOCK PINK,4,12/16/2010 9:45,3.75,17850,United Kingdom
536383,POST,POSTAGE,1,12/16/2010 9:45,18.00,17850,United Kingdom
"""
}

COMPLETE_JOURNEY = {
    "transactions.csv": """\
household_id,store_id,basket_id,product_id,quantity,sales_value,retail_disc,coupon_disc,week,transaction_timestamp
900,330,31198570044,1095275,1,0.5,0,0,1,2017-01-01 11:53:26
900,330,31198570047,9878513,1,0.99,0.1,0,1,2017-01-01 12:10:28
1228,406,31198655051,1095275,2,1,0,0,1,2017-01-01 12:26:30
1228,406,31198655051,1041453,1,2.5,0,0.5,1,2017-01-01 12:26:30
""",
    "products.csv": """\
product_id,manufacturer_id,department,brand,product_category,product_type,package_size
1095275,2,GROCERY,Private,BREAD,WHITE BREAD,22 OZ
9878513,2,GROCERY,National,CANDY,CHOCOLATE BAR,
1041453,69,PASTRY,Private,BREAD ROLLS,HAMBURGER BUNS,12 OZ
2001,69,PASTRY,Private,BREAD ROLLS,HOT DOG BUNS,12 OZ
2002,69,GROCERY,Private,BREAD,WHEAT BREAD,12 OZ
""",
    "demographics.csv": """\
household_id,age,income,home_ownership,marital_status,household_size,household_comp,kids_count
900,35-44,35-49K,Homeowner,Married,2,2 Adults No Kids,0
1228,45-54,100-124K,,Unmarried,1,1 Adult No Kids,0
1300,45-54,100-124K,Homeowner,Unmarried,1,1 Adult No Kids,0
""",
}

MOVIELENS_100K = {
    "u.data": "196\t242\t3\t881250949\n186\t302\t3\t891717742\n196\t302\t1\t878887116\n244\t242\t2\t880606923\n",
    "u.item": """\
242|Kolya (1996)|24-Jan-1997||http://us.imdb.com/M/title-exact?Kolya%20(1996)|0|0|1
302|L.A. Confidential (1997)|01-Jan-1997||http://us.imdb.com/M/title-exact?L%2EA%2E|0|1|0
377|Heavyweights (1994)|01-Jan-1994||http://us.imdb.com/M/title-exact?Heavyweights|0|0|1
""",
}

MOVIELENS_1M = {
    "ratings.dat": "1::1193::5::978300760\n1::661::3::978302109\n2::1193::4::978298413\n2::661::4::978220179\n",
    "movies.dat": """\
661::James and the Giant Peach (1996)::Animation|Children's|Musical
1193::One Flew Over the Cuckoo's Nest (1975)::Drama
2355::Bug's Life, A (1998)::Animation|Children's|Comedy
""",
    "users.dat": "1::F::1::10::48067\n2::M::56::16::70072\n",
}

MOVIELENS_LATEST = {
    "ratings.csv": "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,3,4.5,964981247\n2,1,3.0,1445714835\n",
    "movies.csv": """\
movieId,title,genres
1,Toy Story (1995),Adventure|Animation|Children
3,Grumpier Old Men (1995),Comedy|Romance
7,"American President, The (1995)",Comedy|Romance
""",
    "links.csv": "movieId,imdbId,tmdbId\n1,0114709,862\n3,0113228,15602\n7,0112346,9087\n",
    "tags.csv": "userId,movieId,tag,timestamp\n1,1,pixar,1445714994\n2,3,old,1445714996\n",
}

GA4 = {
    "ga4.jsonl": """\
{"event_date":"20240301","event_timestamp":"1709287200123456","event_name":"view_item","user_pseudo_id":"1001.2002",\
"user_id":null,"event_params":[{"key":"ga_session_id","value":{"string_value":null,"int_value":"17092"}}],\
"items":[{"item_id":"SKU1","item_name":"Tee","item_brand":"Acme","item_category":"Tops","price":19.0,"quantity":1}]}
{"event_date":"20240301","event_timestamp":"1709287300123456","event_name":"session_start","user_pseudo_id":"1001.2003",\
"user_id":null,"event_params":[{"key":"ga_session_id","value":{"int_value":"17093"}}],"items":[]}
{"event_date":"20240301","event_timestamp":"1709287400123456","event_name":"add_to_cart","user_pseudo_id":"1001.2002",\
"user_id":"u7","event_params":[{"key":"ga_session_id","value":{"int_value":"17092"}}],\
"items":[{"item_id":"SKU1","item_name":"Tee","item_brand":"Acme","item_category":"Tops","price":19.0,"quantity":1}]}
{"event_date":"20240302","event_timestamp":"1709373600123456","event_name":"purchase","user_pseudo_id":"1001.2002",\
"user_id":"u7","event_params":[{"key":"ga_session_id","value":{"int_value":"17094"}}],\
"items":[{"item_id":"SKU1","item_name":"Tee","item_brand":"Acme","item_category":"Tops","price":19.0,"quantity":1},\
{"item_id":"SKU2","item_name":"Cap","item_brand":"Cape","item_category":"Hats","price":9.0,"quantity":2}]}
"""
}

SHOPIFY = {
    "orders_export_1.csv": """\
Name,Email,Financial Status,Created at,Cancelled at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Vendor
#1001,ann@example.com,paid,2024-03-01 10:00:00 +0100,,1,Tee - M,19.00,TEE-M,Acme
#1001,ann@example.com,,2024-03-01 10:00:00 +0100,,2,Cap,9.00,CAP,Cape
#1002,bob@example.com,refunded,2024-03-02 11:00:00 +0100,2024-03-03 09:00:00 +0100,1,Cap,9.00,CAP,Cape
#1002,bob@example.com,,2024-03-02 11:00:00 +0100,,1,Tee - M,19.00,TEE-M,Acme
#1003,bob@example.com,paid,2024-03-05 11:00:00 +0100,,1,Mug,7.50,MUG,Clay
"""
}

WOOCOMMERCE = {
    "orders.csv": """\
Order ID;Order Date;Order Status;Customer User;Billing Email;SKU;Product Name;Quantity;Item Price;Order Total
501;2024-02-03 09:10:11;completed;12;ann@example.com;TEE-M;Tee M;1;19,00;37,00
501;2024-02-03 09:10:11;completed;12;ann@example.com;CAP;Cap;2;9,00;37,00
502;2024-02-04 10:00:00;cancelled;0;guest1@example.com;CAP;Cap;1;9,00;9,00
503;2024-02-05 10:00:00;processing;0;guest2@example.com;MUG;Mug;1;7,50;7,50
504;2024-02-06 10:00:00;refunded;12;ann@example.com;MUG;Mug;1;7,50;7,50
"""
}
